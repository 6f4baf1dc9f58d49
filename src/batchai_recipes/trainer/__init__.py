"""What the quickstart trains: a self-contained training script, and the preparation of its data.

The script, ``ConvNet_MNIST.py``, is uploaded and run by itself. Nothing here imports the rest of
the library.
"""
