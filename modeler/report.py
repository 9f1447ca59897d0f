"""An evaluation as a page with plots; apart from the command, which seldom wants to load them."""

from __future__ import annotations

from pathlib import Path

import jinja2

from modeler import plots
from modeler.judgement import Judgement
from modeler.showing import number
from recommender.bootstrap import Interval

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def report(judgement: Judgement, folder: Path) -> Path:
    """Write ``report.html`` and its plots, each as SVG and PNG, into a folder.

    Returns
    -------
    Path
        Of the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    k = judgement.k
    methods = judgement.methods

    def intervals(*figures: str) -> dict[str, dict[str, Interval]]:
        return {
            figure: {name: found.intervals[figure] for name, found in methods.items()}
            for figure in figures
        }

    pictures = {
        "errors": plots.intervals(intervals("rmse", "mae", "rmse_warm"), "rating units"),
        "ranking": plots.intervals(
            intervals(*(f"{name}_at_{k}" for name in ("ndcg", "recall", "map", "hit_rate"))), ""
        ),
        "popularity": plots.deciles({name: found.deciles for name, found in methods.items()}),
        "novelty": plots.scatter(
            {
                name: (found.figures[f"novelty_at_{k}"], found.figures[f"ndcg_at_{k}"])
                for name, found in methods.items()
            },
            "novelty of the lists (bits)",
            f"NDCG@{k}",
        ),
    }
    for name, picture in pictures.items():
        for ending in ("svg", "png"):
            picture.savefig(folder / f"{name}.{ending}")
    figures = list(dict.fromkeys(name for one in methods.values() for name in one.figures))
    page = _TEMPLATES.get_template("report.html.j2").render(
        judgement=judgement, figures=figures, pictures=list(pictures), number=number
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path
