"""Train the convolutional network of CNTK's MNIST example, with CNTK or with PyTorch.

This file and the folder ``convnet`` beside it are uploaded to a file share and run there::

    python ConvNet_MNIST.py DATA_DIR MODEL_DIR [--epochs 40] [--minibatch-size 64] [--seed 1]
                            [--engine auto|cntk|torch] [--device auto|cpu|cuda] [--resume]

It reads ``Train-28x28_cntk_text.txt`` and ``Test-28x28_cntk_text.txt`` from DATA_DIR, writes one
model per epoch to MODEL_DIR, counted from 0 (``ConvNet_MNIST_0.dnn`` by CNTK, a state dictionary
``ConvNet_MNIST_0.pt`` by PyTorch), ``metrics.jsonl``, checkpoints for ``--resume``, and in the end
``ConvNet_MNIST.onnx``. Each line of its progress stands once on standard output.
"""
# ruff: noqa: N999 -- the name is the one that Batch AI's recipes run

import sys

try:
    import numpy as np  # noqa: F401 -- whether it is there
except ImportError as missing:
    raise SystemExit("ConvNet_MNIST.py needs NumPy: pip install numpy") from missing

if __name__ == "__main__":
    from convnet.command import main

    sys.exit(main())
