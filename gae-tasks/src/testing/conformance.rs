//! What every backend that workers lease from must do. Not a stable part of the public API.
