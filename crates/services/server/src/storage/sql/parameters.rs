//! The parameters of a statement.

use super::value::{ToValue, ValueRef};

/// What is put in the place of `?1`, `?2` and so on.
pub trait Parameters {
    /// The values, in order.
    fn values(&self) -> Vec<ValueRef<'_>>;
}

impl Parameters for &[&dyn ToValue] {
    fn values(&self) -> Vec<ValueRef<'_>> {
        self.iter().map(|value| value.to_value()).collect()
    }
}

/// No parameters: `[]`.
impl Parameters for [&dyn ToValue; 0] {
    fn values(&self) -> Vec<ValueRef<'_>> {
        Vec::new()
    }
}

macro_rules! arrays {
    ($($length:literal),*) => {$(
        impl<T: ToValue> Parameters for [T; $length] {
            fn values(&self) -> Vec<ValueRef<'_>> {
                self.iter().map(ToValue::to_value).collect()
            }
        }
    )*};
}

arrays!(1, 2, 3, 4);

/// Parameters from an iterator.
#[derive(Debug)]
pub struct FromIter<T>(Vec<T>);

impl<T: ToValue> Parameters for FromIter<T> {
    fn values(&self) -> Vec<ValueRef<'_>> {
        self.0.iter().map(ToValue::to_value).collect()
    }
}

/// As many parameters as there are.
pub fn params_from_iter<I>(values: I) -> FromIter<I::Item>
where
    I: IntoIterator<Item: ToValue>,
{
    FromIter(values.into_iter().collect())
}

/// Parameters of several types.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::storage::sql::ToValue),*][..]
    };
}
pub(crate) use params;
