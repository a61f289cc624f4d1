"""Which test holds which invariant and which worked number of the specifications of the heads and of the evaluation.

Keys are the numbers of a specification's own list of invariants, or the section where a worked number stands; values
name tests, of the specification's own file or of another one. The lists themselves are compared where the
specifications lie beside the checkout.
"""

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SPECS = HERE.parents[1] / "shared" / "specs"
CHECKS = "temporal_checks.py::"
LISTS = re.compile(
    r"^## (?:Invariants / tests|Invariants every temporal head must pass|9\. Metric invariants)$(.*)", re.M | re.S
)

LEDGER: dict[str, tuple[str, dict[int | str, str]]] = {
    "README": (
        "test_temporal_mil.py",
        {
            1: CHECKS + "check_padding " + CHECKS + "check_longer_padding",
            2: CHECKS + "check_batch_order",
            3: CHECKS + "check_range",
            4: CHECKS + "check_length_one",
            5: "test_with_k_1_the_pool_is_the_maximum_and_with_k_n_the_mean",
            6: CHECKS + "check_same_twice",
            7: CHECKS + "check_learns",
            8: CHECKS + "check_saved",
            "top-k rules, floor(n/16+1) at six n": "test_the_rules_of_the_papers",
            "order of classes": "test_weak_data.py::test_classes_stand_in_the_order_of_the_papers",
            "labels joined by -, 0 fills up": "test_weak_data.py::test_xd_violences_list_joins_labels",
            "snippet to frame": "test_metrics.py::test_snippets_are_repeated_cut_and_held",
        },
    ),
    "mil-ranking": (
        "test_temporal_mil_ranking.py",
        {
            1: "test_hand_value",
            2: "test_at_margin_one_pairing_does_not_matter test_pairs_and_masked_max_agree_with_a_loop",
            3: "test_a_margin_that_is_kept_costs_nothing",
            4: "test_ranking_moves_only_the_best_segment_of_each_video",
            5: "test_order_of_segments_matters_to_smoothness_alone",
            6: "test_regularisers_are_zero_where_they_should_be_and_leave_normal_videos_alone",
            7: "test_normal_and_anomalous_videos_may_stand_in_any_order",
            8: "test_padding_is_no_segment",
            "inputs: segments, both rules": "test_edges_by_hand test_both_rules_differ_by_a_snippet_at_most",
            "layers and start": "test_layers_are_the_published_ones",
            "losses: a difference counts if both are valid": "test_a_difference_counts_where_both_are_real",
            "losses: squared weights, no biases": "test_weights_are_penalised_and_biases_are_not",
            "inference: 32 segments": "test_temporal_papers.py::test_videos_are_scored_as_published",
        },
    ),
    "clip-tsa": (
        "test_temporal_perturbed.py",
        {
            1: "test_temporal_clip_tsa.py::test_weights_sum_to_kappa",
            2: "test_no_noise_is_the_hard_choice "
            "test_temporal_clip_tsa.py::test_all_snippets_have_weight_one_where_kappa_is_all",
            3: "test_a_shift_of_all_scores_changes_nothing test_rows_of_the_jacobian_sum_to_zero_and_it_is_symmetric",
            4: "test_membership_is_the_ordered_rows_summed",
            5: "test_hand_example",
            6: "test_temporal_clip_tsa.py::test_hand_values_of_the_losses",
            7: "test_temporal_mtn.py::test_non_local_block_begins_as_the_identity "
            "test_temporal_mtn.py::test_zeros_stay_zeros_at_the_start",
            8: "test_temporal_clip_tsa.py::test_training_disturbs_anew_and_eval_does_not",
            "backward: the estimator's formula": "test_gradient_is_the_formula_of_the_estimator",
            "backward: unbiased, by Monte Carlo": "test_gradient_is_that_of_the_expected_weight",
            "kappa at most 1000 at test": "test_temporal_clip_tsa.py::test_kappa_has_a_limit_outside_training",
            "losses: flatten_reg": "test_temporal_clip_tsa.py::"
            "test_flat_regularisers_see_a_jump_between_videos_and_grow_with_the_batch",
            "training: Adam": "test_temporal_loop.py::test_the_optimizer_is_the_one_that_was_asked_for",
        },
    ),
    "vadclip": (
        "test_temporal_vadclip.py",
        {
            1: "test_what_every_head_passes test_the_published_padding_reaches_real_steps",
            2: "test_temporal_lgt.py::test_attention_stays_in_its_window",
            3: "test_temporal_lgt.py::test_rows_of_the_similarity_graph_sum_to_one_over_real_steps",
            4: "test_temporal_lgt.py::test_the_distance_graph_knows_only_how_far",
            5: "test_best_scores_of_a_short_video_are_its_best_one",
            6: "test_classes_are_pooled_each_for_itself",
            7: "test_texts_are_held_apart_whatever_the_sign",
            8: "test_the_length_of_texts_does_not_matter_after_the_prompt "
            "test_another_order_of_classes_is_another_order_of_columns",
            9: "test_gradients_reach_what_the_paper_trains_and_nothing_of_clip",
            "adapter: cosines below .7 are 0": "test_temporal_lgt.py::"
            "test_weak_cosines_count_as_zero_and_still_share_the_row",
            "adapter: interior rows sum to 5.50": "test_temporal_lgt.py::test_the_distance_graph_knows_only_how_far",
            "text: the end's place": "test_clip_text.py::test_ten_and_ten_is_the_usual_context",
            "text: bare labels": "test_temporal_scores.py::test_clip_reads_the_labels_as_the_published_code_gives_them",
            "prompt: raw logits, guarded": "test_the_visual_prompt_uses_raw_logits_and_has_length_one",
            "ambiguities: n % 256 == 0": "test_temporal_lgt.py::test_a_length_of_whole_blocks_makes_no_further_block",
        },
    ),
    "dsanet": (
        "test_temporal_dsanet.py",
        {
            1: "test_time_weights_are_the_worked_examples test_even_scores_make_event_and_background_the_mean",
            2: "test_fused_probabilities_are_the_worked_example "
            "test_fused_probabilities_sum_to_one_and_normal_is_what_the_scores_leave",
            3: "test_targets_are_the_worked_examples",
            4: "test_temporal_normality.py::test_gathered_steps_that_are_prototypes_cost_nothing "
            "test_temporal_normality.py::test_scores_that_are_the_errors_cost_nothing",
            5: "test_temporal_normality.py::test_cosines_below_zero_give_nothing",
            6: "test_clip_text.py::test_an_adapter_that_does_nothing_leaves_the_texts_alone "
            "test_clip_text.py::test_adapted_tokens_are_as_long_as_they_were_and_mixed_in_by_share",
            7: "test_what_every_head_passes test_the_published_padding_reaches_real_steps "
            "test_a_share_of_the_real_steps_is_chosen",
            8: "test_leaving_normality_out_after_training_changes_no_score",
            9: "test_texts_are_not_stale_after_an_update",
            "SG-NM: no way around the attention": "test_temporal_normality.py::"
            "test_a_decoder_block_has_no_way_around_its_attention",
            "SG-NM: its start": "test_temporal_normality.py::test_the_normality_model_starts_as_published",
            "total: weights": "test_the_total_is_the_sum_of_its_weighted_terms test_each_part_brings_its_own_losses",
        },
    ),
    "refinevad": (
        "test_temporal_refinevad.py",
        {
            1: "test_no_shift_is_the_identity test_ratios_lie_between_0_and_1_and_differ",
            2: "test_the_shift_of_the_worked_example",
            3: "test_straight_through_says_the_same_as_hard_to_the_bit test_only_straight_through_trains_the_predictor",
            4: "test_motion_of_a_still_video_is_zero_and_ratios_are_one_number "
            "test_a_constant_added_to_every_step_changes_no_ratio",
            5: "test_snippets_ask_the_embedding_and_the_weighted_prototypes "
            "test_another_order_of_the_categories_changes_no_score",
            6: "test_categories_of_a_normal_video_are_pushed_down_and_a_label_pulls_up_its_own",
            7: "test_labels_reach_the_snippets_in_training_only test_labels_change_nothing_in_eval",
            8: "test_temporal_bumps.py::test_one_bump_of_the_right_width_costs_nothing "
            "test_temporal_bumps.py::test_a_flat_curve_costs_unless_bumps_are_wide "
            "test_temporal_bumps.py::test_several_bumps_are_as_high_together_as_the_highest_peak",
            9: "test_pooled_with_gamma_0_is_no_injection "
            "test_the_injection_depends_on_the_embedding_and_keeps_steps_apart",
            10: "test_what_every_head_must_pass test_the_last_real_step_sees_zeros_after_it_not_padding",
            "MoTAR: 2.6e-3 of unit vectors": "test_motion_of_unit_vectors_is_too_small_for_a_gate",
            "MoTAR: gradient of the soft masks": "test_the_straight_through_gradient_is_that_of_the_soft_masks",
            "CORE: 0.1847 of 13": "test_weights_of_thirteen_categories_at_both_temperatures",
            "inference: class scores": "test_class_probabilities_share_the_score_of_the_snippet",
        },
    ),
    "finevad": (
        "test_temporal_finevad.py",
        {
            1: "test_the_published_refinement_is_a_multiple_of_cross_entropy "
            "test_siblings_count_more_and_nobody_else_does",
            2: "test_guidance_lies_in_the_hull_of_the_real_steps "
            "test_guidance_of_a_uniform_map_is_the_mean_and_of_a_sharp_one_its_step",
            3: "test_kmeans_finds_tight_clusters_and_says_the_same_each_time "
            "test_as_many_groups_as_classes_are_singletons test_siblings_count_more_and_nobody_else_does",
            4: "test_the_middle_level_learns_through_the_fine_one_alone "
            "test_fine_texts_take_the_guidance_of_their_parents",
            5: "test_another_order_of_the_classes_permutes_the_map_and_no_loss",
            6: "test_contrast_of_the_worked_example",
            7: "test_what_every_head_must_pass test_scores_are_those_of_the_level_that_is_asked",
            8: "test_padding_reaches_no_level test_what_every_head_must_pass",
            "losses: several labels": "test_several_labels_share_and_do_not_push_each_other",
            "losses: InfoNCE of whole videos": "test_contrast_of_whole_videos",
            "K = 4 and 3": "test_published_settings",
        },
    ),
    "afr": (
        "test_temporal_afr.py",
        {
            1: "test_levels_halve_and_masks_are_nested",
            2: "test_gates_lie_between_zero_and_one_and_shrink test_with_open_gates_the_modules_are_phi_and_identity",
            3: "test_pools_are_added_before_one_mlp",
            4: "test_pseudo_labels.py::test_max_pooled_pseudo_labels",
            5: "test_pseudo_labels.py::test_focal_loss",
            6: "test_a_video_has_the_mean_over_levels_of_its_best",
            7: "test_pseudo_labels.py::test_triplet",
            8: "test_pseudo_labels.py::test_the_sum_at_beta_one",
            9: "test_interpolation_of_a_constant_is_constant test_levels_that_agree_agree_with_their_mean",
            10: "test_what_every_head_must_pass test_max_pool_of_negative_numbers_stays_negative_at_the_boundary",
            "inputs: windows": "test_pseudo_labels.py::test_windows_cover_half_of_a_run",
            "head: prior 0.01": "test_scores_begin_near_the_prior",
            "pseudo labels": "test_pseudo_labels.py::test_backbones_are_averaged_after_each_is_brought_to_range "
            "test_pseudo_labels.py::test_normal_videos_and_constants_have_none "
            "test_pseudo_labels.py::test_one_class_stands_against_normal",
            "losses: the reference's sum": "test_the_total_of_the_head",
            "inference: levels to frames": "test_frames_have_the_mean_of_the_levels_spread_over_them "
            "test_temporal_scores.py::test_afr_may_say_the_frames_itself",
        },
    ),
    "evaluation": (
        "test_metrics.py",
        {
            1: "test_an_increasing_transform_changes_nothing test_an_increasing_transform_of_heat_changes_nothing "
            "test_region_metrics.py::test_order_transform_and_permutation_change_nothing "
            "test_segment_metrics.py::test_invariants "
            "test_segment_metrics.py::test_a_monotone_map_that_is_not_affine_changes_it",
            2: "test_turned_scores_constant_scores_and_the_order_of_videos",
            3: "test_segment_metrics.py::test_invariants test_region_metrics.py::test_more_false_regions",
            4: "test_region_metrics.py::test_order_transform_and_permutation_change_nothing",
            5: "test_region_metrics.py::test_the_truth_itself_scores_one "
            "test_region_metrics.py::test_r3_a_duplicate_changes_nothing",
            6: "test_turned_scores_constant_scores_and_the_order_of_videos test_segment_metrics.py::test_invariants "
            "test_region_metrics.py::test_order_transform_and_permutation_change_nothing",
            7: "test_text_metrics.py::test_order_does_not_matter_and_more_references_never_lower_matches",
            "section 1, UCF-Crime's and XD-Violence's lines": "test_evaluate_scores.py::"
            "test_the_annotations_of_ucf_crime test_evaluate_scores.py::test_the_annotations_of_xd_violence",
            "section 1, UBnormal's ends are included": "test_folders.py::test_ubnormal_ids_spans_and_official_split",
            "section 1, reference": "test_evaluate_scores.py::test_snippets_are_held_to_the_end_of_their_video",
            "section 2, A and B": "test_the_worked_example_of_frames "
            "test_evaluate_scores.py::test_the_worked_example_of_frames",
            "section 2, repeats": "test_snippets_are_repeated_cut_and_held",
            "section 3, three modes": "test_segment_metrics.py::test_the_worked_example "
            "test_evaluate_scores.py::test_the_worked_example_of_segments",
            "section 3, segments and scores": "test_segment_metrics.py::test_the_segments_of_the_worked_example",
            "section 3, AP of each class": "test_segment_metrics.py::"
            "test_average_precision_of_each_class_of_the_worked_example",
            "section 3, variant": "test_segment_metrics.py::test_a_false_alarm_that_ranks_first_halves_the_precision",
            "section 3, ceiling 92.86": "test_segment_metrics.py::test_the_reference_for_ucf_cannot_reach_100",
            "section 3, a class without segments": "test_segment_metrics.py::"
            "test_a_class_without_segments_zeroes_the_reference_modes_only",
            "section 4, R1": "test_region_metrics.py::test_r1_point_by_point",
            "section 4, R2": "test_region_metrics.py::test_r2_one_region_over_two_boxes_finds_both",
            "section 4, R3": "test_region_metrics.py::test_r3_a_duplicate_changes_nothing",
            "section 4, R4": "test_region_metrics.py::test_r4_a_track_needs_a_tenth_of_its_boxes",
            "section 4, R5": "test_region_metrics.py::test_r5_too_many_false_regions_first",
            "section 4, R6": "test_region_metrics.py::test_r6_equal_scores",
            "section 4, edges": "test_region_metrics.py::test_nothing_found_and_nothing_to_find",
            "section 4, nine levels": "test_region_metrics.py::test_levels_are_points_of_one_curve",
            "section 5": "test_the_worked_example_of_pixels test_a_perfect_map_and_a_constant_one",
            "section 6, the table": "test_text_metrics.py::test_worked_values "
            "test_text_metrics.py::test_parts_of_the_worked_values "
            "test_text_metrics.py::test_worked_values_of_sentences "
            "test_text_metrics.py::test_case_is_ignored_unless_asked",
            "section 7": "test_text_metrics.py::test_yes_no_figures test_text_metrics.py::test_yes_or_no_of_an_answer",
            "section 8, what a report names": "test_evaluate_scores.py::test_the_worked_example_of_frames",
        },
    ),
}


@lru_cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("name", LEDGER)
def test_every_named_test_is_there(name: str) -> None:
    file, items = LEDGER[name]
    places = [place if "::" in place else f"{file}::{place}" for value in items.values() for place in value.split()]
    lost = [place for place in places if place.partition("::")[2] not in functions(place.partition("::")[0])]
    assert places and lost == []


@pytest.mark.parametrize("name", LEDGER)
def test_every_invariant_is_in_the_ledger(name: str) -> None:
    path = SPECS / f"{name}.md"
    if not path.is_file():
        pytest.skip("no specifications beside the checkout")
    found = LISTS.search(path.read_text(encoding="utf-8"))
    assert found
    numbers = [int(n) for n in re.findall(r"^(\d+)\. ", found[1], re.M)]
    assert numbers == [key for key in LEDGER[name][1] if isinstance(key, int)] == list(range(1, len(numbers) + 1))


def test_what_every_head_must_pass_is_asked_of_every_head() -> None:
    for head in ("mil_ranking", "clip_tsa", "vadclip", "dsanet", "refinevad", "finevad", "afr"):
        text = (HERE / f"test_temporal_{head}.py").read_text(encoding="utf-8")
        assert re.search(r"\bALL\b", text), head
    assert {n for n in functions("temporal_checks.py") if n.startswith("check_")} == {
        place.removeprefix(CHECKS)
        for value in LEDGER["README"][1].values()
        for place in value.split()
        if CHECKS in place
    }
