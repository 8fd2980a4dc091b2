"""Draw notebooks/readme.png from the checkpoint of a full run of notebook 02: what it says of three test images at each step."""

from ocrlib import EXPERIMENTS, Alphabet, load_captchas, split
from ocrlib.checkpoints import load_checkpoint
from ocrlib.evaluation import predict
from ocrlib.plots import Figure
from tasks import ROOT

STRIDE, FIRST = 4, 3.5  # pixels between two steps of the CRNN's stack, and the centre of the first
BLANK = {"s": "-", "color": "0.6", "fontsize": 11}

recipe, alphabet = EXPERIMENTS["crnn"], Alphabet()
captchas = load_captchas(width=recipe.width)
shown = split(captchas, (recipe.train, recipe.test))[1].subset(range(3))
model = recipe.make_model(alphabet)
model.load_state_dict(load_checkpoint(ROOT / "notebooks" / "runs" / f"full-{captchas.source}" / "crnn_then.pt")["model"])
logits = predict(model, shown.images)  # (T, N, C)
figure = Figure(9.6, 1.7, "three test images and the best class at each of 19 time steps")
for n, ax in enumerate(figure.subplots(1, 3)):
    ax.imshow(shown.images[n, 0], cmap="gray", vmin=0, vmax=255, aspect=0.6)
    for t, index in enumerate(logits[:, n].argmax(1).tolist()):
        look = BLANK if index == alphabet.blank else {"s": alphabet.decode([index]), "color": "#D55E00", "fontsize": 15}
        ax.text(FIRST + STRIDE * t, 40, ha="center", va="top", weight="bold", **look)
    ax.set_title(f"reads {recipe.objective(alphabet).decode(logits[:, n : n + 1])[0]}", fontsize=12)
    ax.set_ylim(48, -0.5)
    ax.set_axis_off()
figure.tight_layout()
figure.savefig(ROOT / "notebooks" / "readme.png", dpi=110)
