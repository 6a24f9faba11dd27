import torch

from segscape.layers.auxiliary_head import AuxiliaryHead


def test_logits_of_the_size_asked_for():
    head = AuxiliaryHead(8, 3, dropout=0.1).eval()
    with torch.no_grad():
        logits = head(torch.randn(2, 8, 4, 5), (32, 37))
    assert logits.shape == (2, 3, 32, 37)
    assert logits.dtype == torch.float32


def test_parameters_by_hand():
    head = AuxiliaryHead(1024, 19, dropout=0.1)
    by_hand = 9 * 1024 * 256 + 2 * 256 + 256 * 19 + 19
    assert sum(parameter.numel() for parameter in head.parameters()) == by_hand
