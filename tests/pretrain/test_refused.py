"""What is for classifiers only is refused before anything is computed."""

import pytest

from genomix.config import make_config
from genomix.errors import UsageError
from genomix.pretrain.plan import check


@pytest.mark.parametrize(("key", "value"), [("training.mixup", 0.2), ("training.first_length", 16)])
def test_what_is_for_classifiers_only_is_refused(key, value):
    check(make_config())
    with pytest.raises(UsageError, match=rf"^{key}: a pretraining .*; leave it out$"):
        check(make_config(overrides={key: value}))
