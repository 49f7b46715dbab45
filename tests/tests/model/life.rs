//! A random life as a state machine: which steps come, and on what they are taken.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tokio::runtime::Runtime;

use crate::step::{Act, Step, any_step};
use crate::world::World;

/// What is known of a life before it is lived: which steps would have nothing to be taken on. What their answers must
/// be, the memory backend tells in [`World`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Outline {
    has_tasks: bool,
    has_leases: bool,
}

impl ReferenceStateMachine for Outline {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        any_step().boxed()
    }

    fn preconditions(outline: &Self, step: &Step) -> bool {
        match &step.act {
            Act::EnqueueAgain(_) | Act::RunNow(_) | Act::Replay(_) | Act::Delete(_) => outline.has_tasks,
            Act::Extend(..) | Act::Settle(_) => outline.has_leases,
            _ => true,
        }
    }

    fn apply(mut outline: Self, step: &Step) -> Self {
        outline.has_tasks |= matches!(&step.act, Act::Enqueue(plans) if !plans.is_empty());
        outline.has_leases |= outline.has_tasks && matches!(step.act, Act::Lease { .. });
        outline
    }
}

/// A life that is lived.
pub(crate) struct Life {
    world: World,
    runtime: Runtime,
}

impl StateMachineTest for Life {
    type SystemUnderTest = Self;
    type Reference = Outline;

    fn init_test(_: &Outline) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { world: runtime.block_on(World::new()), runtime }
    }

    fn apply(mut life: Self, _: &Outline, step: Step) -> Self {
        life.runtime.block_on(life.world.take(step));
        life
    }

    fn check_invariants(life: &Self, _: &Outline) {
        life.runtime.block_on(life.world.look());
    }

    fn teardown(mut life: Self, _: Outline) {
        life.runtime.block_on(life.world.reopen());
        Self::check_invariants(&life, &Outline::default());
    }
}
