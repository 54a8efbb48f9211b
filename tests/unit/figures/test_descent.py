import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mmdl.figures.descent import COLOURS, Curve, draw_descent


def curve(label, batch, steps, rate):
    points = [
        {
            "step": float(step),
            "epochs": step / steps * 5,
            "seconds": step * 0.01,
            "train_loss": 2.3 * np.exp(-rate * step),
        }
        for step in range(0, steps + 1, max(1, steps // 50))
    ]
    points[0]["gradient_noise_scale"] = 40.0
    points[-1]["gradient_noise_scale"] = 400.0
    return Curve(label, batch, points)


@pytest.fixture
def curves():
    return [
        curve("full batch: $1", 1000, 5, 0.1),
        curve("mini batch", 32, 160, 0.02),
        curve("one", 1, 5000, 0.001),
    ]


def test_every_panel_shows_the_points_of_every_curve(curves):
    figure = draw_descent(curves)
    by_epochs, by_steps, by_seconds, noise = figure.axes
    for axes, x in ((by_epochs, "epochs"), (by_steps, "step"), (by_seconds, "seconds")):
        assert axes.get_yscale() == "log"
        for line, one in zip(axes.lines, curves, strict=True):
            shown = [p for p in one.points if x == "epochs" or p["step"] > 0]  # zero is not on a log axis
            np.testing.assert_allclose(line.get_xdata(), [p[x] for p in shown])
            np.testing.assert_allclose(line.get_ydata(), [p["train_loss"] for p in shown])
    assert [axes.get_xscale() for axes in figure.axes] == ["linear", "log", "log", "linear"]
    measured = [line for line in noise.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"]
    assert [list(line.get_ydata()) for line in measured] == [[40.0, 400.0]] * 3
    levels = {line.get_ydata()[0] for line in noise.lines if line.get_marker() != "o"}
    assert levels == {1000, 32, 1}


def test_one_legend_with_a_line_a_curve(curves):
    figure = draw_descent(curves)
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [r"full batch: \$1", "mini batch", "one"]
    assert all(axes.get_legend() is None for axes in figure.axes)


def test_the_picture_has_every_colour_and_nothing_is_cut_off(curves, pixels):
    image = pixels(draw_descent(curves)).astype(int)
    for colour in COLOURS[:3]:
        distance = np.abs(image - np.array(to_rgb(colour)) * 255).sum(2)
        assert (distance < 20).sum() > 300
    frame = np.concatenate([image[:4].reshape(-1, 3), image[-4:].reshape(-1, 3), image[:, :4].reshape(-1, 3)])
    assert (frame == 255).all(), "something touches the border"
    assert (image[:, -4:] == 255).all()


def test_a_curve_without_noise_and_many_curves(curves, pixels):
    plain = [curve(f"arm {n}", n + 1, 50, 0.01 * n) for n in range(9)]
    for one in plain:
        for point in one.points:
            point.pop("gradient_noise_scale", None)
    figure = draw_descent(plain)
    looks = {(line.get_color(), str(line.get_linestyle())) for line in figure.axes[0].lines}
    assert len(looks) == 9
    assert pixels(figure).shape[2] == 3
