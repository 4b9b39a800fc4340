"""What people read of the numbers of a run."""

import pytest

from semipose.tracking.result_text import result_lines
from semipose.tracking.score_text import ScoreText, main_network, pseudo_label_text

PEOPLE = {
    "AP_first": 0.3, "PCK_first": 0.8, "AP_ensemble": 0.402, "PCK_ensemble": 0.8617, "AP": 0.402, "AP50": 0.7,
    "AP_M": -1, "AP_group_3": 0.1, "PCK": 0.8617,
}  # fmt: skip
MOUSE = {"EPE_student": 11.14, "PCK_px_student": 0.9, "EPE": 11.14, "PCK_px": 0.9, "AP": -1}


def test_the_main_result_by_the_name_of_its_network():
    assert ScoreText(0.1).result(PEOPLE) == "ensemble: AP 40.2 %, PCK@0.1 86.2 %"
    assert ScoreText(0.05).result(PEOPLE).endswith("PCK@0.05 86.2 %")
    assert ScoreText(pixels=20).result(MOUSE) == "student: EPE 11.1 px, 90.0 % within 20 px"


def test_several_sets_are_told_apart():
    sets = {"AP_student": 0.5, "AP": 0.5, "PCK": 0.25, "val/AP": 0.5, "val/PCK": 0.25, "aic/AP": 0.125, "aic/AR": 0.2}
    pseudo = {"health_kept": 0.5, "health_kept/nose": 0.5}
    assert ScoreText().result(sets | pseudo) == "student: on val AP 50.0 %, PCK@0.1 25.0 %; on aic AP 12.5 %"


def test_jhmdb_has_its_own_threshold_and_parts_are_no_networks():
    row = {"PCK_student": 0.5, "PCK_Head": 0.9, "PCK_Wri": 0.1, "PCK": 0.5, "tPCK_Head": 0.8, "tPCK": 0.4}
    assert main_network(row) == "student" and ScoreText().result(row) == "student: PCK 50.0 %"


def test_nothing_labelled():
    assert ScoreText().result({"AP_student": -1, "AP": -1}) == "student: nothing is labelled"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"AP": 0.5}, ""),
        ({"health_kept": 0.5, "health_kept/nose": 0.1}, "50.0 % of the joints kept"),
        (
            {"health_kept_first": 0.2, "health_kept_second": 0.4, "pseudo_PCK_kept_first": 0.7,
             "pseudo_PCK_kept_easy_first": 0.9, "easy_share_first": 0.5, "easy_share_second": 0.25},
            "30.0 % of the joints kept, 70.0 % of those right, 37.5 % of the pictures easy",
        ),
    ],
)  # fmt: skip
def test_pseudo_labels_are_means_over_the_networks(row, text):
    assert pseudo_label_text(row) == text


def epochs(*values: float) -> list[dict]:
    rows = [{"epoch": n, "step": n, "AP_ema": value, "AP": value} for n, value in enumerate(values, start=1)]
    return [{"step": 1, "loss_pose": 0.5}, *rows]


def test_the_result_comes_first_then_the_last_epoch_then_what_can_be_done(tmp_path):
    lines = result_lines(tmp_path, epochs(0.1, 0.4, 0.3), {"best_AP": 0.4, "best_epoch": 2, "AP": 0.3}, ScoreText())
    assert lines[0] == f"ema: AP 40.0 % (epoch 2, best by AP): {tmp_path}/best.pth"
    assert "AP 30.0 %" in lines[1] and lines[1].endswith(f"{tmp_path}/last.pth")
    for job in ("predict", "report", "label"):
        assert f"semipose {job} {tmp_path}" in lines[2]


def test_the_last_epoch_is_told_once_where_it_is_the_best(tmp_path):
    lines = result_lines(tmp_path, epochs(0.1, 0.4), {"best_AP": 0.4, "best_epoch": 2}, ScoreText())
    assert "best.pth" in lines[0] and len([line for line in lines if "AP" in line]) == 1


def test_without_validation_the_last_networks_are_named(tmp_path):
    rows = [{"epoch": 1, "step": 1, "health_kept": 0.5}]
    assert result_lines(tmp_path, rows, {}, ScoreText())[0].endswith(str(tmp_path / "last.pth"))


def test_a_folder_with_a_space_can_be_typed(tmp_path):
    assert f"semipose report '{tmp_path}/my run'" in "\n".join(result_lines(tmp_path / "my run", [], {}, ScoreText()))


def test_a_lifter_is_told_in_millimetres_and_is_used_beside_a_2d_network(tmp_path):
    row = {"epoch": 1, "MPJPE_student": 200.19, "P-MPJPE_student": 130.11, "MPJPE": 200.19, "P-MPJPE": 130.11}
    row |= {"MPJPE_actions": 200.2, "MPJPE_action_walk": 210.0}
    first, following = result_lines(tmp_path, [row], {"best_MPJPE": 200.19, "best_epoch": 1}, ScoreText())
    assert first.startswith("student: MPJPE 200.2 mm, P-MPJPE 130.1 mm")
    assert following == f"next: semipose predict RUN VIDEO --out found --lift {tmp_path}"
