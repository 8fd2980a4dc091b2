"""Draw the picture of the README, notebooks/readme.png: what the trained CRNN of notebook 02 says at each time step.

Needs the checkpoint that notebook 02 leaves in notebooks/runs/ after a full run. Run from the root of the project.
"""

from ocrlib import EXPERIMENTS, Alphabet, load_captchas, split
from ocrlib.checkpoints import load_checkpoint
from ocrlib.evaluation import predict
from ocrlib.plots import Figure
from tasks import ROOT

STRIDE, FIRST = 4, 3.5  # pixels between two steps of the CRNN's stack, and the centre of the first


def main() -> None:
    """Load, read three test images, draw."""
    recipe, alphabet = EXPERIMENTS["crnn"], Alphabet()
    captchas = load_captchas(width=recipe.width)
    _, test = split(captchas, (recipe.train, recipe.test))
    model = recipe.make_model(alphabet)
    checkpoint = load_checkpoint(ROOT / "notebooks" / "runs" / f"full-{captchas.source}" / "crnn_then.pt")
    model.load_state_dict(checkpoint["model"])
    shown = test.subset(range(3))
    logits = predict(model, shown.images)  # (T, N, C)
    figure = Figure(9.6, 1.7, "three test images and the best class at each of 19 time steps")
    for n, ax in enumerate(figure.subplots(1, 3)):
        ax.imshow(shown.images[n, 0], cmap="gray", vmin=0, vmax=255, aspect=0.6)
        for t, index in enumerate(logits[:, n].argmax(1).tolist()):
            blank = {"s": "-", "color": "0.6", "fontsize": 11}
            symbol = {"s": alphabet.decode([index]), "color": "#D55E00", "fontsize": 15}
            look = blank if index == alphabet.blank else symbol
            ax.text(FIRST + STRIDE * t, 40, ha="center", va="top", weight="bold", **look)
        read = recipe.objective(alphabet).decode(logits[:, n : n + 1])[0]
        ax.set_title(f"reads {read}", fontsize=12)
        ax.set_ylim(48, -0.5)
        ax.set_axis_off()
    figure.tight_layout()
    figure.savefig(ROOT / "notebooks" / "readme.png", dpi=110)


if __name__ == "__main__":
    main()
