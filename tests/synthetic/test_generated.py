"""Captchas without end: the same chunks for a seed, whoever draws them, and never the same chunk twice."""

from itertools import islice

import numpy as np
import pytest
import torch

from ocrlib.studies.domain_randomisation import InkChange
from ocrlib.synthetic.generated import EndlessCaptchas


def prints(stream, n=5):
    return [chunk.fingerprint() for chunk in islice(stream, n)]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_chunks_in_the_same_order_however_many_processes_draw_them(workers):
    endless = EndlessCaptchas(seed=7, size=6, width=96)
    alone = prints(endless.stream())
    assert alone == prints(endless.stream(workers)) == prints(iter(endless))
    assert len(set(alone)) == 5


def test_a_chunk_depends_on_seed_and_number_alone():
    endless = EndlessCaptchas(seed=7, size=6, width=96)
    chunk = endless.chunk(3)
    torch.manual_seed(1)
    np.random.seed(1)
    assert endless.chunk(3).fingerprint() == chunk.fingerprint() != EndlessCaptchas(8, 6, 96).chunk(3).fingerprint()
    assert tuple(chunk.images.shape) == (6, 1, 32, 96) and len(set(chunk.names)) == 6 and chunk.source == "synthetic"


def test_typefaces_and_changes_are_handed_on():
    plain, one_face, off = (
        EndlessCaptchas(7, 8, 96, **options).chunk(0) for options in ({}, {"faces": (0,)}, {"change": InkChange(y=(3.0, 3.0))})
    )
    assert plain.fingerprint() != one_face.fingerprint()
    assert plain.texts == off.texts and plain.fingerprint() != off.fingerprint()


def test_an_empty_chunk_is_refused():
    with pytest.raises(ValueError, match="size=0"):
        EndlessCaptchas(1, 0, 96)
