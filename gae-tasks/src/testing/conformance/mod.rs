//! The conformance suite: tests of every backend that workers lease from, one case for each
//! promise.
//!
//! The suite is for the backends of this crate and **not a stable part of the public API**: any
//! release may add or remove cases. Cases pass every time as [`Now::At`](crate::Now::At), so no
//! case sleeps or reads a clock.

mod admin;
mod bury;
mod by_hand;
mod cancel;
mod clock;
mod delete_queue;
mod enqueue;
mod extend;
mod extremes;
mod lease;
mod limits;
mod names;
mod newer;
mod plans;
mod priorities;
mod rates;
mod readers;
mod reading;
mod refusals;
mod relayed;
mod retry;
mod samples;
mod schedules;
mod schemas;
mod sensitive;
mod settle;
mod stage;
mod sweep;
mod unique;
mod wakeups;

use std::sync::Arc;

pub use stage::settlement;

use crate::backend::Pull;
use crate::clock::Clock;
use crate::payload_store::{PayloadStore, Shelf};
use crate::spilling::Spilling;

/// Wraps `backend` so that payloads of more than `inline` bytes are put into `store`.
pub fn spilling(
    backend: impl Pull,
    store: impl PayloadStore,
    clock: impl Clock,
    inline: usize,
) -> impl Pull {
    Spilling::new(backend, Shelf::new(Arc::new(store), Arc::new(clock)), inline)
}

/// Generates a `#[tokio::test]` for every case of the conformance suite, in a module of the given
/// name.
///
/// The expression is evaluated for each case, in an async function: it returns a fresh, empty
/// backend and a value that must live as long, such as its directory.
/// `differs in ["case" => instead, ..]` replaces cases that do not hold for a wrapper: `instead` is
/// the path, from the crate's root, of an async function that takes the backend as an
/// `Arc<dyn Pull>`. Needs tokio with `macros` and `rt-multi-thread`. Not a stable part of the
/// public API.
///
/// ```
/// gae_tasks::conformance!(memory, (gae_tasks::backend::memory::Memory::new(), ()));
/// ```
#[macro_export]
macro_rules! conformance {
    ($module:ident, $factory:expr) => {
        $crate::conformance! { @cases stamp ($module, $factory, []) }
    };
    ($module:ident, $factory:expr, differs in $different:tt) => {
        $crate::conformance! { @cases stamp ($module, $factory, $different) }
    };

    // The only list of all cases. A case that is missing here is dead code, which the lints reject.
    (@cases $what:ident $with:tt) => {
        $crate::conformance! { @$what $with
            enqueue [
                what_was_given_is_stored
                a_new_task_has_no_past
                an_empty_payload_is_stored
                a_large_payload_is_stored
                the_longest_names_are_stored
                every_shape_is_stored
                the_largest_numbers_are_stored
                empty_attributes_are_not_missing_ones
                an_empty_batch_stores_nothing
                several_tasks_are_answered_in_order
                a_caller_that_blocks_stores_its_tasks
                one_task_twice_in_a_batch_is_stored_once
                the_same_task_again_is_a_no_op
                the_same_task_again_is_a_no_op_while_it_is_leased
                the_same_task_again_is_a_no_op_when_it_is_dead
                the_same_named_task_again_is_a_no_op_when_it_is_over
                a_refused_task_again_is_refused_again
                a_queue_is_made_on_demand
                a_known_queue_stays_as_it_is
                a_task_without_a_schedule_is_due_at_once
                a_delay_counts_from_the_moment_of_storing
                a_schedule_time_is_kept_to_the_microsecond
                a_schedule_time_in_the_past_is_now
                fifty_concurrent_callers_store_all_their_tasks
                concurrent_callers_with_one_name_create_one_task
            ]
            schemas [
                a_task_is_stored_with_its_schema
                schemas_are_answered_in_order
                a_schema_is_kept_where_it_is_that_of_the_shape
                the_first_schema_of_a_newer_shape_is_kept
                kinds_and_queues_share_a_schema
                a_schema_outlives_its_tasks
                a_buried_task_is_stored_with_its_schema
                a_refused_task_leaves_no_schema
                a_task_refused_for_another_of_its_batch_leaves_no_schema
            ]
            sensitive [
                a_task_is_stored_with_its_sensitive_paths
                sensitive_paths_are_added_and_never_taken_away
                the_sensitive_paths_of_a_batch_are_all_stored
                sensitive_paths_belong_to_a_kind
                a_buried_task_is_stored_with_its_sensitive_paths
            ]
            names [
                a_name_belongs_to_a_queue
                a_name_has_its_case
                the_first_of_a_batch_gets_the_name
                a_waiting_task_holds_its_name
                a_leased_task_holds_its_name
                a_failed_task_holds_its_name
                a_dead_letter_holds_its_name
                a_replayed_task_holds_its_name
                a_finished_task_blocks_its_name_for_exactly_the_time_given
                a_finished_task_blocks_its_name_whatever_came_before
                a_failed_task_that_is_done_blocks_its_name_for_exactly_the_time_given
                a_deleted_task_blocks_its_name_for_exactly_the_time_given
                a_deleted_dead_letter_blocks_its_name
                a_purged_task_blocks_its_name_for_exactly_the_time_given
                a_forgotten_dead_letter_blocks_its_name_for_a_while
                a_tombstone_of_no_length_blocks_nothing
                each_queue_blocks_names_for_as_long_as_it_says
                a_name_can_be_reused_again_and_again
                a_sweep_does_not_forget_a_name_that_is_held_again
                a_sweep_does_not_forget_a_name_too_early
                unnamed_tasks_leave_no_tombstones
                a_task_is_found_by_its_name_in_every_state
                a_name_is_looked_for_in_its_queue_only
                a_name_that_was_never_held_finds_nothing
                a_finished_task_is_not_found_by_its_name
                a_deleted_task_is_not_found_by_its_name
                a_name_that_is_held_again_finds_its_new_task
                a_refused_task_is_not_found_by_the_name
                a_buried_task_is_found_by_its_name
            ]
            lease [
                a_task_is_leased_from_its_schedule_time_on
                a_leased_task_carries_all_it_was_given
                a_leased_task_is_shown_as_leased
                a_lease_tells_the_attempts_before_it
                only_the_given_queues_are_leased_from
                without_queues_nothing_is_leased
                only_the_given_routes_are_leased
                without_routes_nothing_is_leased
                any_route_is_leased_where_any_is_asked_for
                a_kind_has_its_case
                each_lease_has_routes_and_queues_of_its_own
                thousands_of_routes_and_hundreds_of_queues_are_no_problem
                a_task_nobody_can_run_does_not_hold_up_the_others
                at_most_the_limit_is_leased
                a_limit_of_nothing_leases_nothing
                a_lease_brings_a_bounded_number_of_bytes
                bytes_are_bounded_across_standings_and_lanes
                tasks_are_leased_in_the_order_of_their_schedule_times
                tasks_of_one_schedule_time_are_leased_in_the_order_of_their_ids
                queues_take_turns_whatever_waits_longest
                the_queue_after_the_last_turn_is_next
                every_one_of_many_queues_has_its_turn
                of_a_bounded_queue_no_more_is_leased_than_its_bound
                a_bound_holds_for_marked_tasks_too
                a_paused_queue_is_left_alone_until_it_goes_on
                a_lease_that_finds_nothing_changes_nothing
                the_next_time_is_that_of_the_soonest_task
                the_next_time_regards_only_what_the_worker_can_run
                there_is_no_next_time_where_nothing_waits_for_its_own
                the_next_time_regards_retries
                a_delay_below_a_second_is_waited_for_and_no_longer
                no_two_leases_of_a_task_have_the_same_token
                a_leased_task_is_not_leased_again
                an_expired_lease_is_recovered_by_a_sweep_only
                eight_concurrent_workers_share_no_task
            ]
            priorities [
                a_priority_is_kept
                a_step_of_priority_counts_as_thirty_seconds
                every_lease_takes_what_stands_first
                every_lease_follows_the_step_of_the_queue
                a_step_that_changes_counts_for_what_waits
                no_task_is_leased_before_its_time_whatever_its_priority
                every_priority_has_its_place
                queues_take_turns_whatever_the_priorities_of_their_tasks
                a_retried_task_keeps_its_priority
                a_task_that_goes_back_keeps_its_priority
                marked_tasks_stand_by_priority_too
                a_refused_task_keeps_its_priority
                a_replayed_dead_letter_keeps_its_priority
                a_buried_task_keeps_its_priority
                a_task_made_due_keeps_its_priority
                a_task_made_due_comes_before_those_of_any_priority
                a_task_made_due_that_fails_keeps_its_priority
                tasks_of_all_priorities_are_counted_and_purged_together
                tasks_at_the_end_of_time_stand_by_priority
            ]
            rates [
                a_queue_gives_its_burst_at_once_and_then_its_rate
                a_rate_below_one_a_second_adds_up
                in_no_window_is_more_given_than_the_rate_allows
                a_retry_costs_a_token
                what_was_not_attempted_gives_its_token_back
                what_was_attempted_or_lost_gives_nothing_back
                tasks_of_every_standing_cost_a_token
                changed_rates_hold_at_the_next_lease
                a_queue_that_gets_a_rate_has_a_full_bucket
                a_clock_that_is_set_back_stops_no_rate
                a_task_that_is_run_by_hand_costs_no_token
                a_queue_without_tokens_holds_up_no_other
                who_runs_nothing_has_no_rate
                a_rate_that_comes_back_goes_on_with_its_bucket
                a_queue_that_is_deleted_leaves_no_bucket_behind
            ]
            limits [
                no_more_tasks_are_leased_than_may_run_at_a_time
                however_an_attempt_ends_its_place_is_free
                a_lost_lease_counts_until_it_is_recovered
                a_deleted_or_purged_task_leaves_its_place
                leases_that_are_extended_apart_count_on
                a_new_limit_counts_what_runs_already
                replaced_limits_count_what_runs_already_and_wake
                a_new_limit_counts_what_a_relay_holds
                changed_limits_hold_at_the_next_lease
                both_limits_of_a_queue_hold
                a_task_that_is_run_by_hand_runs_beside_those_that_may
                a_task_that_is_run_by_hand_counts_for_the_turn_of_its_queue
                a_queue_at_its_limit_holds_up_no_other
                of_queues_with_limits_no_more_is_leased_than_runners_are_free
                queues_with_limits_share_the_free_runners
                marked_tasks_and_those_of_queues_with_limits_share_the_free_runners
                a_reserved_room_is_for_queues_with_limits
                queues_with_limits_take_turns_in_a_reserved_room
                a_bound_of_the_worker_holds_beside_the_limit
                whatever_frees_a_place_wakes
                changed_limits_wake
                four_workers_at_once_share_the_places_and_tokens
            ]
            relayed [
                a_task_is_leased_ahead_of_its_time
                a_lease_ahead_lasts_from_now_on
                no_loss_of_an_unwatched_lease_is_an_attempt
            ]
            readers [
                a_worker_leases_what_it_can_read
                a_worker_is_asked_with_the_stored_schema
                a_worker_is_asked_once_about_a_route
                another_worker_is_asked_anew
                a_worker_that_decides_slowly_holds_up_nobody
                what_no_worker_can_read_holds_up_nobody
                a_schema_that_comes_later_is_shown_to_the_worker
            ]
            samples [
                a_sample_has_the_payloads_of_its_routes
                a_sample_takes_those_that_wait_first
                a_sample_has_at_most_the_limit_of_each_route
                a_sample_has_refused_tasks_and_no_newer_ones
                a_sample_takes_refused_tasks_before_others_that_wait
                a_sample_changes_nothing
                a_survey_counts_what_the_statistics_count
            ]
            refusals [
                an_old_worker_that_refuses_first_keeps_no_other_from_the_task
                a_reader_that_refused_has_the_task_again_after_a_minute
                two_readers_that_refuse_in_turn_both_pause
                each_refusal_doubles_the_pause_of_all_who_refused
                one_reader_in_two_processes_pauses_in_both
                where_routes_are_listed_the_own_shape_of_a_route_reads_it
                after_eight_readers_every_reader_pauses
                a_record_shows_who_refused
                a_failed_attempt_forgets_who_refused
                a_released_task_is_still_refused_by_the_same
                a_lost_lease_leaves_the_task_refused_by_the_same
                a_refused_task_keeps_its_standing
                a_refused_task_can_be_made_due_for_all
                a_dead_letter_is_replayed_for_all_readers
                a_refusal_of_nothing_changes_nothing
                a_refused_task_is_found_listed_counted_and_deleted
                a_refused_task_is_purged_and_goes_with_its_queue
                refused_tasks_hold_up_nobody
                a_refused_task_stands_before_the_backlog_of_its_queue
                marked_tasks_that_others_refused_come_first
                the_next_time_is_that_of_the_reader
                other_readers_take_refused_tasks_by_turns
                a_pause_of_readers_is_shortened_when_the_clock_is_set_back
            ]
            extend [
                a_held_lease_is_extended
                an_extended_lease_lasts_from_the_extension_on
                a_lease_can_be_shortened
                a_wrong_token_extends_nothing
                an_unknown_task_has_no_lease_to_extend
                an_expired_lease_that_nobody_recovered_is_held_on
                a_recovered_lease_is_not_extended
                a_lease_that_another_got_is_not_extended
                a_settled_lease_is_not_extended
                several_leases_are_answered_in_order
                no_leases_have_no_answers
            ]
            settle [
                a_done_task_is_deleted
                a_task_may_be_done_after_failures
                a_wrong_token_changes_nothing
                a_token_of_one_lease_is_of_no_use_for_another
                an_unknown_task_cannot_be_settled
                a_waiting_task_cannot_be_settled
                an_outcome_is_recorded_once
                an_outcome_is_recorded_once_in_one_batch_too
                a_deleted_task_cannot_be_settled
                a_purged_task_cannot_be_settled
                a_recovered_task_cannot_be_settled
                a_task_that_another_got_cannot_be_settled
                an_expired_lease_that_nobody_recovered_still_settles
                a_lost_lease_does_not_harm_its_neighbours
                no_settlements_have_no_answers
                hundreds_of_outcomes_fit_one_batch
                a_released_task_goes_back_as_it_was
                a_released_task_is_due_at_once
                a_released_task_may_be_released_for_ever
                a_permanent_failure_makes_a_dead_letter
                a_task_that_cannot_be_delivered_is_a_dead_letter_without_an_attempt
                a_dead_letter_is_not_leased
            ]
            retry [
                pauses_double_at_first_and_grow_linearly_then
                pauses_grow_linearly_without_doublings
                pauses_below_a_second_double_too
                a_queue_that_was_not_configured_has_the_default_pauses
                limits_without_a_backoff_leave_the_default_pauses
                a_default_backoff_that_is_given_is_exact
                tasks_that_fail_together_are_not_retried_together
                a_task_types_backoff_replaces_the_queues
                a_lease_shows_how_a_failure_is_retried
                a_queue_configuration_holds_for_tasks_stored_before
                each_queue_has_its_own_pauses
                a_tasks_own_settings_replace_the_queues
                a_failed_task_waits_for_its_time
                a_failed_task_is_leased_to_nobody
                a_pause_below_a_second_is_kept
                a_pause_the_handler_asks_for_replaces_the_backoff
                a_pause_the_handler_asks_for_does_not_prolong_a_life
                attempts_are_counted
                the_begin_of_the_first_attempt_is_kept
                an_attempt_of_unknown_begin_began_when_it_ended
                a_task_dies_at_its_queues_max_attempts
                a_task_dies_at_its_queues_max_retry_duration
                a_task_dies_when_both_limits_are_reached
                a_retry_duration_counts_from_the_first_attempt
                a_tasks_own_cap_stops_alone
                a_task_types_cap_stops_alone
                the_smaller_of_two_caps_counts
                the_last_errors_are_kept_oldest_first
                a_long_error_is_cut_at_a_characters_end
                an_error_is_kept_character_by_character
            ]
            sweep [
                a_sweep_of_nothing_does_nothing
                a_lease_is_lost_exactly_at_its_end
                the_first_lost_lease_only_marks_a_task
                a_recovered_task_keeps_its_place
                the_second_lost_lease_makes_a_suspect
                a_suspect_that_is_lost_alone_has_made_an_attempt
                a_suspect_that_is_lost_in_company_is_isolated
                a_suspect_is_alone_where_one_is_asked_for_and_none_is_held
                an_isolated_task_is_its_workers_only_suspect
                no_suspect_is_leased_beside_an_isolated_task
                an_isolated_task_that_is_left_is_told_beside_what_is_leased
                poison_becomes_a_dead_letter
                how_many_lost_attempts_are_a_death_is_the_queues
                a_tasks_own_cap_counts_lost_attempts
                a_queues_limits_count_lost_attempts
                a_mark_survives_a_release
                a_task_that_answers_is_clear_again
                a_task_that_answers_in_between_is_no_poison
                a_sweep_recovers_at_most_its_limit
                marked_tasks_are_leased_only_to_be_started_at_once
                marked_tasks_are_leased_before_all_others
                marked_tasks_count_towards_the_limit
                no_more_suspects_are_leased_than_asked_for
                an_expired_lease_is_held_until_somebody_calls_it_lost
                a_lost_lease_is_recovered_whatever_the_clock_says
                a_lease_that_was_extended_meanwhile_is_not_recovered
                a_lease_of_another_token_is_not_recovered
                each_queue_keeps_its_dead_letters_for_as_long_as_it_says
                only_the_lost_lease_is_recovered
                a_lost_lease_in_a_paused_queue_is_recovered
                dead_letters_are_kept_for_exactly_the_time_given
                the_storages_own_clock_forgets_nothing_young
                a_sweep_forgets_at_most_its_limit_of_dead_letters
                a_replayed_dead_letter_is_not_forgotten
                tombstones_are_forgotten_and_counted
                a_sweep_forgets_at_most_its_limit_of_tombstones
            ]
            admin [
                a_waiting_task_can_be_made_due
                a_due_task_made_due_keeps_its_place
                a_failed_task_can_be_made_due_and_keeps_its_past
                a_leased_task_cannot_be_made_due
                a_dead_letter_cannot_be_made_due
                an_unknown_task_can_neither_be_made_due_nor_replayed
                a_replayed_dead_letter_has_a_new_life
                a_replayed_dead_letter_is_leased_like_a_new_task
                a_replayed_dead_letter_has_all_its_attempts_again
                a_live_task_cannot_be_replayed
                a_task_can_be_deleted_in_every_state
                a_task_is_deleted_once
                deleting_twice_does_not_shorten_nor_prolong_a_tombstone
                a_purge_deletes_what_waits_and_what_is_leased
                a_purge_of_an_empty_or_unknown_queue_deletes_nothing
                a_purged_queue_goes_on
                a_queue_configuration_is_kept
                only_the_fields_that_are_set_are_changed
                a_stated_retention_is_raised_and_never_shortened
                raising_a_retention_keeps_all_else
                a_configured_queue_stays_paused
                pausing_keeps_the_configuration
                a_queue_is_paused_before_its_first_task
                pausing_a_missing_queue_is_refused
                queues_are_told_by_name
            ]
            plans [
                a_replaced_queue_has_exactly_the_given_retries_and_limits
                a_replaced_queue_keeps_its_retention_and_its_pause
                what_is_stored_already_is_not_replaced
                a_second_plan_is_empty
                a_plan_changes_nothing_until_it_is_applied
                a_plan_pauses_and_resumes_queues
                extra_queues_are_deleted_only_if_that_is_asked_for
                an_extra_queue_with_tasks_is_not_deleted
            ]
            by_hand [
                a_task_made_due_is_leased_though_its_queue_is_paused
                a_task_made_due_is_leased_though_its_queue_is_paused_afterwards
                a_task_made_due_comes_before_the_backlog_of_its_queue
                a_task_can_be_made_due_twice
                a_task_made_due_that_fails_waits_with_its_queue
                a_task_made_due_that_is_released_is_still_due
                a_task_made_due_that_loses_its_worker_is_still_due
                a_task_made_due_that_a_reader_refuses_pauses_for_this_reader
                a_replayed_task_waits_with_its_queue
                a_bound_holds_for_a_task_made_due
                a_task_made_due_is_shown_and_counted_beside_its_like
                a_task_made_due_is_deleted_purged_and_goes_with_its_queue
            ]
            cancel [
                a_waiting_task_that_is_cancelled_is_deleted
                a_failed_task_that_is_cancelled_is_deleted
                a_cancelled_task_blocks_its_name_for_exactly_the_time_given
                a_leased_task_that_is_cancelled_keeps_its_lease
                a_cancelled_task_may_be_done
                a_cancelled_task_that_fails_is_a_dead_letter
                a_cancelled_task_that_fails_for_good_says_that_it_was_cancelled
                a_cancelled_task_that_is_released_is_a_dead_letter
                a_cancelled_task_that_a_reader_refuses_is_a_dead_letter
                a_cancelled_task_whose_worker_is_lost_is_a_dead_letter
                a_cancelled_task_that_is_lost_and_made_due_before_is_a_dead_letter
                a_cancelled_dead_letter_that_is_replayed_has_a_new_life
                a_cancelled_dead_letter_holds_its_name
                what_is_over_or_dead_cannot_be_cancelled
                a_task_is_cancelled_once
                only_the_cancelled_task_of_a_lease_ends
                a_cancelled_task_stays_cancelled_while_its_lease_is_extended
                a_stale_token_ends_no_cancelled_task
                a_cancelled_task_can_be_deleted_and_purged
                a_newer_task_can_be_cancelled
                a_task_of_a_paused_queue_can_be_cancelled
                a_cancellation_of_a_leased_task_is_told
                what_is_cancelled_while_it_is_settled_is_not_attempted_again
            ]
            bury [
                a_buried_task_is_a_dead_letter_with_all_its_data
                a_task_that_never_began_can_be_buried
                a_task_is_buried_once
                a_stored_task_is_not_buried
                a_buried_task_is_listed_and_counted_as_dead
                a_buried_task_is_not_leased
                a_buried_task_is_replayed_with_all_its_data
                a_buried_task_can_be_deleted
                a_buried_task_keeps_its_name_where_nobody_has_it
                a_buried_task_drops_a_name_that_another_has
                a_buried_task_drops_a_name_that_is_blocked
                a_buried_task_is_forgotten_when_it_is_too_old
                a_sweep_tells_the_attributes_of_what_it_forgets
                a_long_error_of_a_buried_task_is_cut
                burying_makes_a_queue_and_leaves_a_known_one_as_it_is
                workers_settle_with_a_time_so_no_task_is_copied
            ]
            reading [
                a_task_that_never_was_is_not_found
                the_backend_says_that_it_can_be_pulled_from
                tasks_are_listed_in_the_order_of_their_ids
                ids_are_ordered_as_bytes_without_a_sign
                pages_have_neither_gaps_nor_repeats
                a_page_may_begin_after_a_task_that_is_gone
                a_page_of_nothing_is_empty
                the_largest_page_holds_all
                the_newest_task_is_listed_first_where_that_is_asked_for
                pages_of_the_newest_first_have_neither_gaps_nor_repeats
                a_page_of_the_newest_may_begin_after_a_task_that_is_gone
                the_newest_are_listed_by_filters_too
                payloads_are_listed_only_where_they_are_asked_for
                tasks_are_listed_by_state
                tasks_are_listed_by_queue
                tasks_are_listed_by_kind
                filters_are_combined
                listing_shows_what_getting_shows
                nothing_stored_counts_nothing
                tasks_are_counted_by_state
                tasks_are_counted_by_queue_and_route
                lines_are_told_by_queue_kind_and_shape
                due_tasks_are_those_whose_time_has_come
                the_oldest_due_time_is_that_of_the_first_waiting_task
                numbers_follow_a_task_through_its_life
            ]
            wakeups [
                a_stored_task_wakes
                a_task_stored_for_later_wakes
                every_listener_is_woken
                a_queue_that_goes_on_wakes
                a_task_made_due_wakes
                a_replay_wakes
                a_retry_wakes
                a_refusal_wakes
                a_release_wakes
                a_recovered_lease_wakes
                reading_and_finishing_wake_nobody
            ]
            clock [
                a_task_without_a_delay_is_due_whatever_the_clock_says
                a_task_with_a_time_of_its_own_is_never_early
                a_task_that_goes_back_waits_as_it_did_before
                a_retry_that_goes_back_waits_no_longer_than_its_pause_when_the_clock_is_set_back
                a_retry_waits_no_longer_than_its_pause_when_the_clock_is_set_back
                a_pause_that_the_handler_asked_for_lasts_as_long_when_the_clock_is_set_back
                a_sweep_shortens_every_pause_of_the_future
                a_task_that_is_made_due_or_replayed_is_due_whatever_the_clock_says
                dead_letters_of_the_future_are_kept
                a_task_that_cannot_be_read_goes_back_for_a_while
                a_task_that_cannot_be_read_keeps_its_standing
                the_next_time_regards_only_what_waits_for_a_time
            ]
            delete_queue [
                an_empty_queue_is_deleted_with_its_configuration
                a_queue_that_is_not_stored_is_deleted_already
                a_queue_with_tasks_is_refused_and_stays_as_it_is
                a_queue_with_dead_letters_is_refused
                a_queue_with_leased_tasks_is_refused
                a_queue_whose_tasks_are_over_is_deleted
                all_tasks_of_a_queue_are_deleted_where_that_is_asked_for
                a_lease_of_a_deleted_queue_is_lost
                a_deleted_queue_leaves_others_alone
                a_deleted_queues_names_stay_blocked_for_as_long_as_it_said
                a_deleted_queue_is_made_anew_by_its_next_task
                a_refused_name_makes_no_queue
                a_queue_with_newer_tasks_stays
                thousands_of_tasks_are_deleted_with_their_queue
            ]
            schedules [
                a_schedule_is_stored_as_it_is_put
                schedules_are_listed_by_program_and_name
                a_schedule_that_is_put_again_stays_as_it_is
                another_expression_counts_from_now_on
                the_newest_revision_of_a_program_wins
                of_two_builds_of_a_revision_the_first_wins_while_it_is_seen
                a_schedule_that_a_newer_revision_lacks_ends_when_nobody_declares_it
                no_program_touches_the_schedules_of_another
                declared_schedules_and_others_keep_their_names
                a_thousand_schedules_are_put_at_once
                a_new_schedule_is_looked_at_at_once
                a_schedule_is_due_from_its_time_on
                due_schedules_come_page_by_page
                the_storages_own_clock_says_what_is_due
                a_paused_schedule_is_not_due_until_it_goes_on
                a_schedule_of_a_newer_version_is_left_alone
                a_schedule_without_a_next_time_is_never_due
                a_tick_moves_its_schedule_and_stores_its_tasks
                a_tick_is_made_once
                a_schedule_that_was_changed_is_read_anew
                a_tick_whose_name_is_in_use_is_made_already
                of_several_moves_those_are_made_that_can_be
                a_move_without_a_tick_keeps_the_last_one
                eight_concurrent_workers_make_each_tick_once
                a_declared_schedule_is_removed_once_nobody_declares_it
                a_tick_wakes_workers_and_a_change_of_schedules_those_who_tick
            ]
            unique [
                a_waiting_task_has_its_key
                a_key_belongs_to_a_queue
                a_key_is_the_same_whether_it_outlives_its_task
                the_first_of_a_batch_has_the_key
                the_same_unique_task_again_is_a_no_op
                the_same_unique_task_after_its_end_is_a_no_op
                a_running_task_has_its_key
                a_running_task_is_never_changed
                one_task_waits_behind_a_running_one
                a_task_that_is_over_frees_its_key
                a_finished_task_blocks_its_key_for_exactly_the_time_given
                a_finished_task_blocks_only_those_who_ask
                a_dead_letter_blocks_only_those_who_ask
                a_failed_or_lost_task_has_its_key
                what_ends_a_task_by_hand_frees_its_key
                a_dead_letter_that_is_forgotten_frees_its_key
                args_are_replaced_and_the_time_is_kept
                a_replacement_has_the_place_of_the_task_before
                a_replacement_may_have_another_shape
                a_task_is_rescheduled_and_keeps_its_args
                a_rescheduled_task_waits_for_no_longer_than_said
                a_pause_after_a_failure_is_not_shortened
                a_task_that_was_made_due_by_hand_stays_due
                what_a_newer_version_stored_is_not_changed
                a_replaced_task_wakes_workers_and_a_rescheduled_one
                fifty_concurrent_callers_with_one_key_create_one_task
                a_task_behind_a_dead_one_keeps_the_key
            ]
            newer [
                a_newer_task_is_not_leased
                a_task_of_this_version_is_leased_with_all_it_carries
                a_newer_task_is_counted_by_itself
                a_newer_task_can_be_deleted
                a_purge_leaves_newer_tasks
                a_newer_dead_letter_is_not_forgotten
            ]
            extremes [
                a_task_at_the_end_of_time_waits
                a_task_at_the_end_of_time_is_leased_then
                an_endless_delay_ends_with_time
                moments_before_1970_are_moments
                the_first_moment_is_a_moment
                the_longest_wait_is_told
                an_endless_lease_is_not_lost
                an_endless_pause_ends_with_time
                an_endless_backoff_ends_with_time
                endless_tombstones_block_for_ever
                dead_letters_can_be_kept_for_ever
                the_largest_limits_lease_all
                a_clock_that_goes_back_breaks_nothing
            ]
        }
    };

    (@stamp ($module:ident, $factory:expr, $different:tt) $($subject:ident [$($case:ident)*])*) => {
        #[cfg(test)]
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            async fn open() -> (impl $crate::backend::Pull, impl Sized) {
                $factory
            }

            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (backend, _kept) = super::open().await;
                    let backend: ::std::sync::Arc<dyn $crate::backend::Pull> =
                        ::std::sync::Arc::new(backend);
                    let case = $crate::testing::conformance::cases::$subject::$case;
                    $crate::conformance!(@run $different, stringify!($case), case, backend);
                })*
            })*
        }
    };

    (
        @run [$($different:literal => $instead:path),* $(,)?],
        $name:expr, $case:ident, $backend:ident
    ) => {
        match $name {
            $($different => $instead($backend).await,)*
            _ => $case($backend).await,
        }
    };

    (@declare () $($subject:ident [$($case:ident)*])*) => {
        $(#[doc = concat!("The cases about ", stringify!($subject), ".")]
        pub mod $subject {
            use std::sync::Arc;

            use $crate::backend::Pull;
            use $crate::testing::conformance::{$subject as of, stage::Stage};

            $(#[doc = concat!("Panics unless ", stringify!($case), ".")]
            pub async fn $case(backend: Arc<dyn Pull>) {
                of::$case(Stage::new(backend)).await;
            })*
        })*
    };
}

/// Every case as a function that takes an empty backend.
pub mod cases {
    conformance! { @cases declare () }
}
