import torch
import torch.nn.functional as F

from segscape.layers.image_pooling import ImagePooling


def test_each_pixel_holds_the_mean_of_the_whole_map():
    torch.manual_seed(0)
    pooling = ImagePooling(4, 6).eval()
    x = torch.randn(2, 4, 5, 7)
    by_hand = F.relu(x.flatten(2).mean(2) @ pooling.conv.weight[:, :, 0, 0].T / (1 + 1e-5) ** 0.5)
    y = pooling(x)
    assert y.shape == (2, 6, 5, 7)
    torch.testing.assert_close(y, by_hand[:, :, None, None].expand_as(y))


def test_one_image_trains_as_it_predicts():
    """A variance of one value does not exist: torch's own layer refuses it."""
    torch.manual_seed(0)
    pooling = ImagePooling(4, 6)
    pooling.norm.running_mean = torch.randn(6)
    pooling.norm.running_var = torch.rand(6) + 0.5
    before = {name: value.clone() for name, value in pooling.state_dict().items()}
    x = torch.randn(1, 4, 3, 3)
    trained = pooling.train()(x)
    assert all(torch.equal(before[name], value) for name, value in pooling.state_dict().items())
    assert torch.equal(trained, pooling.eval()(x))
    trained.sum().backward()
    assert all(parameter.grad is not None for parameter in pooling.parameters())


def test_two_images_train_on_their_own_statistics():
    torch.manual_seed(0)
    pooling = ImagePooling(4, 6).train()
    x = torch.randn(2, 4, 3, 3)
    before = pooling.conv(x.mean((2, 3), keepdim=True))
    expected = F.relu(F.batch_norm(before, None, None, training=True))
    torch.testing.assert_close(pooling(x), expected.expand(-1, -1, 3, 3))
    assert pooling.norm.num_batches_tracked == 1
