import torch
from torch.nn.functional import cross_entropy

from mmdl.inspection.gradient import gradient
from mmdl.inspection.network64 import network64


def test_it_is_what_a_backward_pass_leaves(cnn, image):
    model = cnn()
    network = network64(model, image, 2, label_smoothing=0.1)
    found = gradient(network)
    twin = cnn().double().eval()
    pixels = network.image[None].clone().requires_grad_()
    loss = cross_entropy(twin(pixels), torch.tensor([2]), label_smoothing=0.1)
    loss.backward()
    torch.testing.assert_close(found.loss, loss.item(), rtol=1e-12, atol=0)
    expected = {name: p.grad for name, p in twin.named_parameters()}
    assert found.parameters.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found.parameters[name], value, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(found.image, pixels.grad[0], rtol=1e-9, atol=1e-16)
    assert len(found.vector) == sum(p.numel() for p in model.parameters())
    squares = sum(float(p.grad.norm() ** 2) for p in twin.parameters())
    torch.testing.assert_close(float(found.vector.norm() ** 2), squares, rtol=1e-9, atol=0)


def test_the_norms_on_the_way_back(cnn, image):
    network = network64(cnn(), image, 1)
    found = {flow.name: flow for flow in gradient(network).flows}
    layers = dict(network.model.layers.named_children())
    value, inputs = network.image[None].clone().requires_grad_(), {}
    for name, layer in layers.items():
        inputs[name] = value
        value = layer(value)
        assert found[name].shape == tuple(value.shape[1:])
        torch.testing.assert_close(found[name].output_norm, float(value.detach().norm()))
    loss = network.loss(value[0])
    for name, tensor in inputs.items():
        (back,) = torch.autograd.grad(loss, tensor, retain_graph=True)
        torch.testing.assert_close(found[name].input_gradient_norm, float(back.norm()))
    expected = gradient(network).parameters
    both = [
        expected["layers.fully_connected1.weight"].norm(),
        expected["layers.fully_connected1.bias"].norm(),
    ]
    torch.testing.assert_close(
        found["fully_connected1"].weight_gradient_norm, float(torch.stack(both).norm())
    )
    assert found["relu1"].weight_gradient_norm is None


def test_frozen_layers_have_none(cnn, image):
    model = cnn()
    model.layers.convolution1.requires_grad_(False)
    found = gradient(network64(model, image, 1))
    assert "layers.convolution1.weight" not in found.parameters
    flows = {flow.name: flow for flow in found.flows}
    assert flows["convolution1"].weight_gradient_norm is None
    assert flows["convolution1"].input_gradient_norm > 0
