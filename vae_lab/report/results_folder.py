"""The folder of results: a page a study, what it holds as data beside it, and the table of all pages."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vae_lab.report.docs_page import results_markdown
from vae_lab.report.headline import headline
from vae_lab.report.report import Report
from vae_lab.report.table import markdown_table, markdown_text
from vae_lab.report.verdicts import MET, MISSED, Verdict
from vae_lab.study.study import Study

INDEX_BEGIN, INDEX_END = "<!-- pages -->\n", "<!-- end of pages -->\n"
HEADINGS = {"published": "Published rows", "ablation": "Ablations", "system": "Systems", "": "Others"}
UNDECIDED, BY_ONE_SEED = "undecided", " by one seed"
COUNTED = (MET, MISSED, UNDECIDED, MET + BY_ONE_SEED, MISSED + BY_ONE_SEED)


@dataclass(frozen=True)
class Judged:
    """A judged expectation and what came of it.

    Attributes:
      subject: the arm, or the difference of two.
      metric: of which.
      low, high: the bounds that were expected; None for no bound.
      found, found_low, found_high: the mean over seeds and its 95% interval; None where there is none.
      outcome: met, missed, undecided, either of the first by one seed, or why it is none of these.
      source: where the expected value is from.
      is_difference: whether it is about two arms.
    """

    subject: str
    metric: str
    low: float | None
    high: float | None
    found: float | None
    found_low: float | None
    found_high: float | None
    outcome: str
    source: str
    is_difference: bool


@dataclass(frozen=True)
class Results:
    """What a page holds, as data.

    Attributes:
      name, question, kind: of the study.
      outcome: in a line.
      identities: of the numbers.
      expectations: those that are judged.
    """

    name: str
    question: str
    kind: str
    outcome: str
    identities: tuple[str, ...]
    expectations: tuple[Judged, ...]

    def is_of(self, study: Study | None) -> bool:
        """Whether all jobs of a study, as it is now, are among these numbers."""
        return study is not None and {job.evaluation for job in study.jobs} <= set(self.identities)


def results_of(report: Report) -> Results:
    """A report's results."""
    study = report.study
    there = [job for job in study.jobs if job.seed in report.runs.counted[job.arm]]
    return Results(
        study.name,
        study.question or "",
        study.kind,
        headline(report),
        tuple(job.evaluation for job in there),
        tuple(map(judged_of, report.judged)),
    )


def judged_of(verdict: Verdict) -> Judged:
    """What came of a judged expectation."""
    one, got = verdict.expectation, verdict.got
    return Judged(
        subject=one.subject,
        metric=one.metric,
        low=one.low,
        high=one.high,
        found=finite(got.mean) if got else None,
        found_low=finite(got.low) if got else None,
        found_high=finite(got.high) if got else None,
        outcome=UNDECIDED if verdict.undecided else verdict.state + BY_ONE_SEED * verdict.by_one_seed,
        source=f"{one.source} ({one.mark})",
        is_difference=len(one.arms) == 2,
    )


def finite(value: float) -> float | None:
    """A number, None where it is none: JSON has no NaN."""
    return value if math.isfinite(value) else None


def write_results(report: Report, folder: Path, studies: Mapping[str, Study]) -> Path:
    """Writes the study's page and data into a folder, and the table of all pages there anew; returns the page.

    Args:
      report: of the study.
      folder: where the pages are.
      studies: by name, the studies as they are now: a page of other settings, data or code is said to be older.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{report.study.name}.md"
    page.write_text(results_markdown(report), encoding="utf-8")
    data = json.dumps(asdict(results_of(report)), indent=1, ensure_ascii=False)
    page.with_suffix(".json").write_text(f"{data}\n", encoding="utf-8")
    write_index(folder, studies)
    return page


def read_results(folder: Path) -> list[Results]:
    """What all pages of a folder hold, by name; of a page without data beside it, its first lines."""
    found = []
    for page in sorted(folder.glob("*.md")):
        data = page.with_suffix(".json")
        if data.is_file():
            content = json.loads(data.read_text(encoding="utf-8"))
            expectations = tuple(Judged(**one) for one in content.pop("expectations"))
            found.append(
                Results(**content | {"identities": tuple(content["identities"]), "expectations": expectations})
            )
        elif page.name != "README.md":
            _, question, _, outcome, *_ = page.read_text(encoding="utf-8").split("\n\n")
            found.append(Results(page.stem, question.strip(), "", outcome.strip(), (), ()))
    return found


def write_index(folder: Path, studies: Mapping[str, Study]) -> None:
    """Writes the table of all pages of a folder into its README.md, between two marks."""
    index = folder / "README.md"
    before, begin, rest = (index.read_text(encoding="utf-8") if index.exists() else "").partition(INDEX_BEGIN)
    after = rest.partition(INDEX_END)[2]
    table = index_markdown(read_results(folder), studies)
    index.write_text(f"{before}{begin or INDEX_BEGIN}{table}{INDEX_END}{after}", encoding="utf-8")


def index_markdown(pages: Sequence[Results], studies: Mapping[str, Study]) -> str:
    """How the expectations of all pages stand, and by kind of study a table of them."""
    parts = [f"{counts(pages, studies)}\n"]
    for kind, heading in HEADINGS.items():
        rows = [row_of(page, studies) for page in pages if page.kind == kind]
        if rows:
            parts += [f"## {heading}\n", markdown_table(["study", "question", "outcome", "code"], rows, left=4)]
    return "\n".join(parts)


def row_of(page: Results, studies: Mapping[str, Study]) -> list[str]:
    """A page's line in the table."""
    standing = "present" if page.is_of(studies.get(page.name)) else "older"
    return [f"[{page.name}]({page.name}.md)", markdown_text(page.question), page.outcome, standing]


def counts(pages: Sequence[Results], studies: Mapping[str, Study]) -> str:
    """How many pages there are, and how their judged expectations came out."""
    present = sum(page.is_of(studies.get(page.name)) for page in pages)
    found = Counter(one.outcome for page in pages for one in page.expectations)
    told = [f"{found[outcome]} {outcome}" for outcome in COUNTED if found[outcome]]
    if others := sum(found.values()) - sum(found[outcome] for outcome in COUNTED):
        told.append(f"{others} not complete")
    return (
        f"{len(pages)} of {len(studies)} studies have a page, {present} of them by the present settings, data and "
        f"code. {sum(found.values())} expectations are judged: {', '.join(told) or 'none'}."
    )
