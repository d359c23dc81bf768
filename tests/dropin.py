"""A small picture and models of the drop-in on it."""

from __future__ import annotations

import numpy as np
from inputs import picture, probabilities

import densecrf.pydensecrf.densecrf as dcrf

L, H, W = 4, 12, 10
N = H * W
IMAGE = picture(H, W, 3)
UNARY = -np.log(probabilities(L, H, W)).reshape(L, -1)


def crf2d():
    crf = dcrf.DenseCRF2D(W, H, L)
    crf.setUnaryEnergy(UNARY)
    return crf


def crf():
    crf = dcrf.DenseCRF(N, L)
    crf.setUnaryEnergy(UNARY)
    return crf


def with_terms():
    crf = crf2d()
    crf.addPairwiseGaussian(sxy=2, compat=1)
    crf.addPairwiseBilateral(sxy=6, srgb=40, rgbim=IMAGE, compat=2)
    return crf


def answer(add, iterations=3):
    """Marginals of a picture with the terms that ``add(crf)`` adds."""
    crf = crf2d()
    add(crf)
    return np.array(crf.inference(iterations))


def features(d=2, n=N):
    return np.random.default_rng(3).normal(size=(d, n)).astype(np.float32)
