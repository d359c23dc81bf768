"""What only a real GPU can show: streams, graphs, devices, memory that runs out. Skipped where there is none."""

import numpy as np
import pytest
from inputs import scene, softmax
from numpy.testing import assert_allclose

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian, _build

TERMS = [Gaussian(2, 1), Bilateral(20, 10, 2)]


@pytest.fixture
def cuda(torch):
    if _build.cuda_module() is None or not torch.cuda.is_available():
        pytest.skip("no CUDA back end, or no GPU")
    return torch


@pytest.fixture
def case(cuda):
    image, logits = scene(60, 80, 6)
    probs = softmax(logits)
    expected = densecrf.refine(image, probs, terms=TERMS)
    return cuda.tensor(np.moveaxis(image, -1, 0), device="cuda"), cuda.tensor(probs, device="cuda"), expected


def assert_expected(result, expected):
    assert_allclose(result.cpu().numpy(), expected, rtol=0, atol=1e-4)


def test_work_goes_to_the_current_stream_after_what_is_there(cuda, case):
    image, probs, expected = case
    stream = cuda.cuda.Stream()
    late = cuda.zeros_like(probs)
    with cuda.cuda.stream(stream):
        cuda.cuda._sleep(50_000_000)  # the scores come late, and only in the order of this stream
        late.copy_(probs).div_(late.sum(0, keepdim=True))
        result = densecrf.refine(image, late, terms=TERMS)
    stream.synchronize()
    assert_expected(result, expected)


def test_a_model_serves_other_streams_than_the_one_it_was_built_in(cuda, case):
    image, probs, expected = case
    crf = DenseCRF(image, 6, TERMS)
    energies = -probs.clamp_min(1e-5).log()
    cuda.cuda.synchronize()
    streams = [cuda.cuda.Stream() for _ in range(4)]
    results = []
    for stream in streams:
        with cuda.cuda.stream(stream):
            results.append(crf.infer(energies))
    del crf
    cuda.cuda.synchronize()
    for result in results:
        assert_expected(result, expected)


def test_inference_can_be_captured_in_a_graph(cuda, case):
    image, probs, expected = case
    crf = DenseCRF(image, 6, TERMS)
    energies = -probs.clamp_min(1e-5).log()
    crf.infer(energies)
    cuda.cuda.synchronize()
    graph = cuda.cuda.CUDAGraph()
    static = cuda.zeros_like(energies)
    with cuda.cuda.graph(graph):
        result = crf.infer(static)
    static.copy_(energies)
    graph.replay()
    cuda.cuda.synchronize()
    assert_expected(result, expected)


def test_inference_waits_for_nothing(cuda, case):
    image, probs, _ = case
    crf = DenseCRF(image, 6, TERMS)
    energies = -probs.clamp_min(1e-5).log()
    crf.infer(energies, label_tolerance=1e-3)  # its memory is in torch's pool from here on: asking for more would wait
    cuda.cuda.synchronize()
    cuda.cuda._sleep(500_000_000)
    crf.infer(energies, label_tolerance=1e-3)
    assert not cuda.cuda.current_stream().query()  # the call came back while the device was still asleep


def test_the_current_device_stays_what_it_was(cuda, case):
    if cuda.cuda.device_count() < 2:
        pytest.skip("one GPU")
    image, probs, expected = case
    with cuda.cuda.device(0):
        assert_expected(densecrf.refine(image.to("cuda:1"), probs.to("cuda:1"), terms=TERMS), expected)
        assert cuda.cuda.current_device() == 0


def test_memory_that_runs_out_is_a_memory_error_and_nothing_else_breaks(cuda, case):
    image, probs, expected = case
    large = cuda.rand((21, 4000, 4000), device="cuda")
    large /= large.sum(0)
    picture = cuda.randint(0, 256, (3, 4000, 4000), dtype=cuda.uint8, device="cuda")
    total = cuda.cuda.get_device_properties(0).total_memory
    cuda.cuda.set_per_process_memory_fraction((cuda.cuda.memory_reserved() + (1 << 29)) / total)
    try:
        with pytest.raises(MemoryError, match="refine fewer pictures at once, or tiles"):
            densecrf.refine(picture, large)
        held = cuda.cuda.memory_allocated()
        assert held < large.nbytes + picture.nbytes + (64 << 20)
    finally:
        cuda.cuda.set_per_process_memory_fraction(1.0)
    assert_expected(densecrf.refine(image, probs, terms=TERMS), expected)


def test_repeated_calls_give_the_same_bits(cuda, case):
    image, probs, _ = case
    first = densecrf.refine(image, probs, terms=TERMS)
    for _ in range(20):
        assert cuda.equal(densecrf.refine(image, probs, terms=TERMS), first)
