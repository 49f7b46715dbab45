//! The bytes of a payload, value by value, as postcard writes them.

use super::failure::{Failure, Reason};
use crate::payload::schema::node::Leaf;

/// Bytes that are read from the front.
#[derive(Clone, Copy)]
pub(crate) struct Input<'de> {
    pub(crate) rest: &'de [u8],
}

/// An integer of any width.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Unsigned(u64),
    Signed(i64),
    WideUnsigned(u128),
    WideSigned(i128),
}

impl Number {
    /// The same number as a `T`, if it is in the range of one.
    pub(crate) fn to<T>(self) -> Option<T>
    where
        T: TryFrom<u64> + TryFrom<i64> + TryFrom<u128> + TryFrom<i128>,
    {
        match self {
            Self::Unsigned(number) => T::try_from(number).ok(),
            Self::Signed(number) => T::try_from(number).ok(),
            Self::WideUnsigned(number) => T::try_from(number).ok(),
            Self::WideSigned(number) => T::try_from(number).ok(),
        }
    }

    /// The number that `text` is, as JSON writes numbers.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_plain || text == "-0" || digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        let unsigned = || text.parse().map(Self::WideUnsigned);
        text.parse().map(Self::WideSigned).or_else(|_| unsigned()).ok()
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsigned(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::WideUnsigned(number) => number.fmt(f),
            Self::WideSigned(number) => number.fmt(f),
        }
    }
}

impl<'de> Input<'de> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'de [u8], Failure> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Reason::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Reason::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Failure> {
        self.array().map(|[byte]| byte)
    }

    /// A byte that is 0 or 1: a `bool`, or whether an option holds something.
    pub(crate) fn flag(&mut self) -> Result<bool, Failure> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Reason::Corrupt.into()),
        }
    }

    /// Seven bits a byte, the lowest first.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Failure> {
        match self.rest {
            [byte @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => u64::try_from(self.wide(10)?).map_err(|_| Reason::Corrupt.into()),
        }
    }

    fn wide(&mut self, most: u32) -> Result<u128, Failure> {
        let mut number = 0;
        for at in 0..most {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            let shifted = bits << (7 * at);
            if shifted >> (7 * at) != bits {
                return Err(Reason::Corrupt.into());
            }
            number |= shifted;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Reason::Corrupt.into())
    }

    /// The length of a text, of bytes, of a sequence or of a map.
    pub(crate) fn len(&mut self) -> Result<usize, Failure> {
        usize::try_from(self.unsigned()?).map_err(|_| Reason::Short.into())
    }

    pub(crate) fn bytes(&mut self) -> Result<&'de [u8], Failure> {
        let len = self.len()?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'de str, Failure> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Reason::Corrupt.into())
    }

    pub(crate) fn char(&mut self) -> Result<char, Failure> {
        self.text_of_char().map(|(_, char)| char)
    }

    /// A text of one character, which is how a `char` is written, and the character.
    pub(crate) fn text_of_char(&mut self) -> Result<(&'de str, char), Failure> {
        let text = self.text()?;
        Ok((text, only_char(text).ok_or(Reason::Corrupt)?))
    }

    pub(crate) fn f32(&mut self) -> Result<f32, Failure> {
        self.array().map(f32::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64, Failure> {
        self.array().map(f64::from_le_bytes)
    }

    /// Reads an integer; returns `None` if `leaf` is not an integer.
    pub(crate) fn number(&mut self, leaf: Leaf) -> Result<Option<Number>, Failure> {
        Ok(Some(match leaf {
            Leaf::U8 => Number::Unsigned(self.byte()?.into()),
            Leaf::I8 => Number::Signed((self.byte()? as i8).into()),
            Leaf::U16 => Number::Unsigned(self.within(u16::MAX.into())?),
            Leaf::U32 => Number::Unsigned(self.within(u32::MAX.into())?),
            Leaf::U64 => Number::Unsigned(self.unsigned()?),
            Leaf::I16 => Number::Signed(signed(self.within(u16::MAX.into())?)),
            Leaf::I32 => Number::Signed(signed(self.within(u32::MAX.into())?)),
            Leaf::I64 => Number::Signed(signed(self.unsigned()?)),
            Leaf::U128 => Number::WideUnsigned(self.wide(19)?),
            Leaf::I128 => {
                let number = self.wide(19)?;
                Number::WideSigned((number >> 1) as i128 ^ -((number & 1) as i128))
            }
            _ => return Ok(None),
        }))
    }

    fn within(&mut self, most: u64) -> Result<u64, Failure> {
        let number = self.unsigned()?;
        if number > most { Err(Reason::Corrupt.into()) } else { Ok(number) }
    }
}

/// Zigzag: 0, -1, 1, -2.
fn signed(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// The character that `text` is, if it is one.
pub(crate) fn only_char(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.as_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two keys of one number would become one entry of a map.
    #[test]
    fn a_number_has_one_text() {
        for text in ["0", "-1", "10", "18446744073709551616"] {
            assert!(Number::of_text(text).is_some(), "{text}");
        }
        for text in ["-0", "01", "-01", "+1", "", "-", " 1", "1.0"] {
            assert!(Number::of_text(text).is_none(), "{text}");
        }
    }
}
