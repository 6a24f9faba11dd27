import torch
from tests.support.processes import run_in_processes

from segscape.ops.processes import (
    alone,
    concatenate_over_processes,
    gather_over_processes,
    process_count,
    sum_over_processes,
)

NUMBERS = torch.tensor([[1.0, -2.0, 4.0], [3.0, 0.5, 1.5]], dtype=torch.float64)


def loss_of(total):
    return (total**2).sum() + total.prod()


def in_one_of_two(rank, world):
    x = NUMBERS[rank].clone().requires_grad_()
    total = sum_over_processes(x)
    loss_of(total).backward()
    with alone():
        own = sum_over_processes(NUMBERS[rank])
    whole = torch.arange(3) + 10**15 * (rank + 1)  # beyond what floats hold
    return {
        "count": process_count(),
        "total": total.detach(),
        "gradient": x.grad,
        "input": x.detach(),
        "whole": sum_over_processes(whole),
        "strided": sum_over_processes(NUMBERS.T),
        "own": own,
        "gathered": gather_over_processes({"rank": rank}),
        "concatenated": concatenate_over_processes(torch.arange(3 - 2 * rank) + 10 * rank),
        "empty": concatenate_over_processes(torch.ones(rank)),
    }


def in_one_of_two_going_different_ways(rank, world):
    x = NUMBERS[rank].clone().requires_grad_()
    total = sum_over_processes(x)
    (loss_of(total) if rank == 0 else total.sin().sum()).backward()
    return x.grad


def test_one_process_gets_its_own_tensor_back():
    x = torch.ones(2)
    assert sum_over_processes(x) is x
    assert gather_over_processes(x)[0] is x
    assert process_count() == 1


def test_two_processes_share_sum_and_gradient():
    x = NUMBERS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(x.sum(0)), x)
    results = run_in_processes(in_one_of_two)
    for rank, result in enumerate(results):
        assert result["count"] == 2
        assert torch.equal(result["total"], NUMBERS.sum(0))
        # Averaging over processes, as DistributedDataParallel does, divides by two.
        assert torch.allclose(result["gradient"] / 2, gradient[rank], rtol=1e-14)
        assert torch.equal(result["input"], NUMBERS[rank])
        assert result["whole"].tolist() == [3 * 10**15, 3 * 10**15 + 2, 3 * 10**15 + 4]
        assert torch.equal(result["strided"], 2 * NUMBERS.T)
        assert torch.equal(result["own"], NUMBERS[rank])
        assert result["gathered"] == [{"rank": 0}, {"rank": 1}]
        values, own = result["concatenated"]
        assert values.tolist() == [0, 1, 2, 10]
        assert own == (slice(0, 3), slice(3, 4))[rank]
        values, own = result["empty"]
        assert values.tolist() == [1.0]
        assert own == (slice(0, 0), slice(0, 1))[rank]


def test_gradient_is_that_of_the_sum_of_losses_when_they_differ():
    x = NUMBERS.clone().requires_grad_()
    total = x.sum(0)
    (expected,) = torch.autograd.grad(loss_of(total) + total.sin().sum(), x)
    for rank, gradient in enumerate(run_in_processes(in_one_of_two_going_different_ways)):
        assert torch.allclose(gradient, expected[rank], rtol=1e-14)
