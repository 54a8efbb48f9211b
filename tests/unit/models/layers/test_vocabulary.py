from __future__ import annotations

import pytest

from mmdl.errors import UserError
from mmdl.models.layers.vocabulary import check_vocabulary


@pytest.mark.parametrize("vocab_size", [None, 30522, 30000])
def test_padded_tables_pass(vocab_size):
    check_vocabulary("bert", 30522, vocab_size)


@pytest.mark.parametrize("vocab_size", [59, 27000, 30523])
def test_other_tokenizers_are_refused(vocab_size):
    with pytest.raises(UserError, match="another model's tokenizer"):
        check_vocabulary("bert", 30522, vocab_size)
