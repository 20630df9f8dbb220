"""Rebuild the sample data: `python -m sample_data.make` writes the record sets, the same bytes every time, and fits the
bundles on them. Making the voice notes needs espeak-ng."""

import argparse
import json
import logging
import shutil
import tempfile
from pathlib import Path

from fusion_core.answer_table import answer_table, marks, save_answers
from fusion_core.answers import answer_rows
from fusion_core.bundle import load
from fusion_core.compare.plan import Settings, piece_key
from fusion_core.compare.result_file import FILE_NAME, save_comparison
from fusion_core.compare.run import Comparing
from fusion_core.compare.store import Store
from fusion_core.diagnose.build import build_reference
from fusion_core.diagnose.log_run import diagnose_log
from fusion_core.diagnose.reference_file import save_reference
from fusion_core.fit_plan import FitPlan, FitStep
from fusion_core.fitting import run_fit
from fusion_core.influence import build_influence, save_influence
from fusion_core.log.upkeep import compact
from fusion_core.neighbours import build_index, save_index
from fusion_core.reading.records import read
from fusion_core.sweep import sweep
from sample_data.generators import feedback, production, scene_qa
from sample_data.generators.sentences import Split
from sample_data.generators.voice_notes import SpeechUnavailable

HERE = Path(__file__).resolve().parent
SETS = ("feedback", "scene_qa")
PRODUCTION = "production"

# Seeds of the shipped splits; the fresh one is for measuring accuracy on records never shipped.
FEEDBACK: dict[Split, tuple[int, int]] = {"train": (800, 101), "validation": (200, 102), "test": (400, 103)}
SCENE_QA = {"train": (9000, 201), "validation": (900, 202), "test": (1200, 203)}
# Of the test sets, 400 and 1,200 records, the first are shipped: the repository stays under 70 MB.
SHIPPED = {"feedback": 300, "scene_qa": 600}
# Of the training sets, for the records that pushed an answer to be shown with their media.
SHIPPED_TRAINING = {"feedback": 200, "scene_qa": 400}
REFERENCE_RECORDS = {"feedback": 200, "scene_qa": 600}
FRESH_SEEDS = {"feedback": 104, "scene_qa": 204}

log = logging.getLogger(__name__)


def build_record_sets(out: Path, names: tuple[str, ...] = SETS) -> None:
    """Write `out/<set>/<split>/` for the named sets, replacing what an earlier run left there."""
    if "feedback" in names:
        for split, (count, seed) in FEEDBACK.items():
            folder = _emptied(out / "feedback" / split)
            feedback.build(folder, split=split, count=count, seed=seed)
        feedback.copy_terms(out / "feedback")
    if "scene_qa" in names:
        for part, (count, seed) in SCENE_QA.items():
            folder = _emptied(out / "scene_qa" / part)
            scene_qa.build(folder, questions=count, seed=seed, split=part)
        scene_qa.write_terms(out / "scene_qa")


def keep_first(folder: Path, count: int) -> None:
    """Keep the first records of a record set and the media they name."""
    table = folder / "metadata.jsonl"
    kept = table.read_text("utf-8").splitlines(keepends=True)[:count]
    table.write_text("".join(kept), "utf-8")
    rows = [json.loads(line) for line in kept]
    named = {row[column] for row in rows for column in ("image_file_name", "audio_file_name") if column in row}
    for path in [*folder.glob("images/*"), *folder.glob("audio/*")]:
        if path.relative_to(folder).as_posix() not in named:
            path.unlink()


def build_bundles(out: Path, names: tuple[str, ...] = SETS) -> None:
    """Fit each set's bundle, `out/bundles/<set>`, on its training split; save its answers on the test split, and where
    they lie in each strategy's fused space."""
    for name in names:
        bundle = out / "bundles" / name
        run_fit(FitPlan(name, read(out / name / "train"), read(out / name / "validation")), bundle, _told)
        model, test = load(bundle), out / name / "test"
        answers = list(answer_rows(model, read(test).rows, model.strategies))
        save_answers(answer_table(answers), bundle, test)
        save_index(build_index(answers), bundle, test)
        ship_training(out, name)


def ship_training(out: Path, name: str) -> None:
    """Copy the first training records, with their media, into `out/<set>/training` and index their influence."""
    source, training = out / name / "train", _emptied(out / name / "training")
    shutil.copytree(source, training, dirs_exist_ok=True)
    keep_first(training, SHIPPED_TRAINING[name])
    model = load(out / "bundles" / name)
    save_influence(build_influence(model, read(training).records, _say), out / "bundles" / name, training)


def build_references(out: Path, names: tuple[str, ...] = SETS) -> None:
    """Make each bundle's reference, what its clean validation records look like, and save it in the bundle."""
    for name in names:
        bundle = out / "bundles" / name
        records = read(out / name / "validation").records[: REFERENCE_RECORDS[name]]
        save_reference(build_reference(load(bundle), records, _say), bundle)


def build_comparisons(out: Path, names: tuple[str, ...] = SETS, pieces: Path | None = None) -> None:
    """Compare each bundle's strategies on its test records, all of them damaged too, and save what is found there.

    pieces: a folder to keep the pieces in, to go on from when this is stopped.
    """
    for name in names:
        bundle, test = out / "bundles" / name, out / name / "test"
        rows = read(test).rows
        settings = Settings(fault_records=len(rows))
        store = Store(pieces, piece_key(bundle, rows, settings)) if pieces else None
        found = None
        for found in Comparing(load(bundle), rows, settings, store, name, _say):
            _say(f"{name}: {found.doing}", found.done, found.planned)
        assert found is not None
        save_comparison(found, marks(bundle, test), test / FILE_NAME)


def build_production(out: Path) -> None:
    """Write the sample log, `out/production`: eight weeks of the feedback service, diagnosed; its truth beside it."""
    bundle, log_folder = out / "bundles" / "feedback", out / PRODUCTION
    shutil.rmtree(log_folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        truth = production.build(Path(folder) / PRODUCTION)
        sweep(bundle, Path(folder) / PRODUCTION, log_folder, "feedback", say=log.info)
    compact(log_folder, "feedback")
    diagnose_log(load(bundle), bundle, log_folder, "feedback", _say)
    (out / f"{PRODUCTION}_NOTICE.md").write_text(production.TERMS, "utf-8")
    (out / f"{PRODUCTION}_truth.json").write_text(json.dumps(truth, indent=1) + "\n", "utf-8")


def _told(step: FitStep) -> bool:
    _say(step.strategy or step.stage, step.done, step.of)
    return True


def _say(what: str, done: int, total: int) -> None:
    log.info("%s %d/%d", what, done, total)


def build_fresh_tests(out: Path, count: int, names: tuple[str, ...] = SETS) -> None:
    """Write `out/<set>/` with `count` records of the test recipe under a seed never shipped."""
    if "feedback" in names:
        folder = _emptied(out / "feedback")
        feedback.build(folder, split="test", count=count, seed=FRESH_SEEDS["feedback"], id_prefix="fb-fresh")
    if "scene_qa" in names:
        folder = _emptied(out / "scene_qa")
        scene_qa.build(folder, questions=count, seed=FRESH_SEEDS["scene_qa"], split="fresh")


def _emptied(folder: Path) -> Path:
    """The folder without an earlier build: its metadata, images and audio, nothing else."""
    log.info("building %s", folder)
    (folder / "metadata.jsonl").unlink(missing_ok=True)
    for media in ("images", "audio"):
        shutil.rmtree(folder / media, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    """Command line of the rebuild."""
    parser = argparse.ArgumentParser(prog="python -m sample_data.make", description=__doc__)
    parser.add_argument("--only", choices=(*SETS, PRODUCTION), help="build this set, or the log, only")
    parser.add_argument("--whole-tests", action="store_true", help="keep all test records, not only those shipped")
    parser.add_argument("--keep-records", action="store_true", help="only fit the bundles, on the records there are")
    parser.add_argument("--only-compare", action="store_true", help="only compare the bundles on the records there are")
    parser.add_argument("--pieces", type=Path, metavar="FOLDER", help="keep pieces of comparisons, to go on from")
    parser.add_argument("--out", type=Path, help="write here instead of the sample_data folder")
    parser.add_argument(
        "--fresh-test",
        type=int,
        metavar="N",
        help="write only a newly seeded test set of N records (needs --out)",
    )
    options = parser.parse_args()
    names = tuple(name for name in SETS if options.only in (None, name))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.fresh_test is not None and options.out is None:
        parser.error("--fresh-test needs --out: it must not replace the shipped test set")
    try:
        if options.only_compare:
            build_comparisons(options.out or HERE, names, options.pieces)
            return
        if options.fresh_test is not None:
            build_fresh_tests(options.out, options.fresh_test, names)
            return
        if not options.keep_records:
            build_record_sets(options.out or HERE, names)
            for name in names if not options.whole_tests else ():
                keep_first((options.out or HERE) / name / "test", SHIPPED[name])
        build_bundles(options.out or HERE, names)
        build_references(options.out or HERE, names)
        build_comparisons(options.out or HERE, names, options.pieces)
        if options.only in (None, PRODUCTION):
            build_production(options.out or HERE)
    except SpeechUnavailable as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
