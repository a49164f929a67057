"""A report in the terminal: table, differences, verdicts."""

from vae_lab.console.terminal import show_lines, show_table
from vae_lab.report.format import interval, number, p_text, seeds_text
from vae_lab.report.headline import headline
from vae_lab.report.report import Report


def show_report(report: Report) -> None:
    """Prints the table, the differences from the reference and the verdicts."""
    title = f"{report.study.name}: {report.finished} of {len(report.study.jobs)} planned runs finished"
    show_table(report.short_table, title)
    if report.comparisons:
        header = ["arm", "seeds", "difference", "95% over seeds", "p, Holm", "seeds needed", "95% over images"]
        lines = []
        for one in report.comparisons:
            if one.refused or one.over_seeds is None:
                lines.append([report.named(one.arm), "", one.refused or "", "", "", "", ""])
                continue
            seeds, images = one.over_seeds, one.over_images
            line = [report.named(one.arm), str(seeds.size), number(seeds.mean, True)]
            line += [interval(seeds.low, seeds.high, True)]
            line += [p_text(one.seeds_holm, report.mark(one.arm, one.reference)), seeds_text(one.needed)]
            lines.append([*line, interval(images.low, images.high, True) if images else "–"])
        show_lines(f"{report.study.metric}, minus {report.named(report.reference)}", header, lines)
    if stale := [one for one in report.runs.aside if one.state == "stale" and one.run and one.run.status == "FINISHED"]:
        print(f"note: {len(stale)} finished runs are stale and not counted, such as {stale[0].arm}: {stale[0].why}")
    for note in report.notes:
        print(f"note: {note}")
    show_verdicts(report)


def show_verdicts(report: Report) -> None:
    """Prints a line for each expectation, and how many were met."""
    if report.verdicts:
        header = ["expectation", "metric", "expected", "verdict", "found"]
        lines = [
            [
                report.named(*verdict.expectation.arms),
                verdict.expectation.metric,
                f"{verdict.expectation.stated} ({verdict.expectation.mark})",
                verdict.says() + (f": {verdict.notes}" if verdict.notes else ""),
                number(verdict.got.mean, len(verdict.expectation.arms) > 1) if verdict.got else "–",
            ]
            for verdict in report.verdicts
        ]
        show_lines("Expected and found", header, lines, left=4)
    print(headline(report))
