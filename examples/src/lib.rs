//! Examples of gae-tasks: see `examples/`.
