"""The program that trains the network of CNTK's MNIST example, with CNTK or with PyTorch.

It is uploaded as a folder beside ``ConvNet_MNIST.py``, which starts it, and imports nothing of this
library. CNTK's last releases run on CPython 3.5 and 3.6 only (its container images have 3.5), so
that every module but those of PyTorch keeps to what 3.5 can read: ``str.format``, ``typing.List``,
no annotated variables, no trailing comma after a keyword-only parameter.

Source:
    Network, schedule and file format are those of ``ConvNet_MNIST.py`` in CNTK's examples,
    https://github.com/microsoft/CNTK/tree/master/Examples/Image/Classification/ConvNet/Python
"""
