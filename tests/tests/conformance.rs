//! Every backend keeps the contract: the whole suite, stamped once for each.

use gae_tasks::backend::memory::Memory;

gae_tasks::conformance!(memory, (Memory::new(), ()));
