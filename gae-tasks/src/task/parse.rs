//! Reads the id of a task from text. Separate from `id`, as the error contains an id.

use std::str::FromStr;

use super::id::TaskId;
use crate::error::Error;

impl FromStr for TaskId {
    type Err = Error;

    /// # Errors
    /// [`Error::TaskId`] if the text is not a UUID.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::read(text).ok_or_else(|| Error::TaskId { value: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_from_its_text_and_from_no_other() {
        let id = TaskId::generate();
        assert_eq!(id.to_string().parse::<TaskId>().unwrap(), id);
        let refused = "nonsense".parse::<TaskId>();
        assert!(matches!(refused, Err(Error::TaskId { value }) if value == "nonsense"));
    }
}
