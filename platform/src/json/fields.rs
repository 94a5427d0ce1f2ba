//! An object read member by member, so that every fault is told at once and not only the first, each by its JSON pointer.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Pointer, explain};
use crate::problem::{FieldFault, Problem};

/// The largest number of faults that one answer lists.
pub const FAULTS_MAX: usize = 100;

/// What is wrong with a body, in the order of reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    list: Vec<FieldFault>,
    unlisted: usize,
}

impl Faults {
    /// Adds a fault; past [`FAULTS_MAX`] it is only counted.
    pub fn push(&mut self, at: &Pointer, detail: impl Into<String>) {
        self.add(FieldFault { pointer: at.as_str().to_owned(), detail: detail.into() });
    }

    fn add(&mut self, fault: FieldFault) {
        if self.list.len() < FAULTS_MAX { self.list.push(fault) } else { self.unlisted += 1 }
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the faults; a last one tells how many are not listed.
    pub fn into_list(mut self) -> Vec<FieldFault> {
        if self.unlisted > 0 {
            let detail = format!("{} more faults are not listed", self.unlisted);
            self.list.push(FieldFault { pointer: String::new(), detail });
        }
        self.list
    }

    /// Returns the 400 that lists them.
    pub fn into_problem(self) -> Problem {
        Problem::malformed(
            "the body does not have the form that is read here; errors has each fault",
        )
        .with_errors(self.into_list())
    }
}

impl From<FieldFault> for Faults {
    fn from(fault: FieldFault) -> Self {
        Self { list: vec![fault], unlisted: 0 }
    }
}

/// A type that is read from a JSON object.
///
/// Reading takes every member and returns a value in any case; where something was wrong the value holds defaults, a fault is
/// noted, and [`read_object`] gives the faults instead of the value.
pub trait ReadObject: Sized {
    /// Takes the members of the object.
    fn read(object: &mut ObjectReader<'_>) -> Self;
}

/// Reads a body that has to be an object.
pub fn read_object<T: ReadObject>(body: Value) -> Result<T, Faults> {
    let mut faults = Faults::default();
    let value = object_at(body, Pointer::root(), &mut faults);
    match value {
        Some(value) if faults.is_empty() => Ok(value),
        Some(_) | None => Err(faults),
    }
}

/// Reads the object at a place and notes what it has too much of.
fn object_at<T: ReadObject>(value: Value, at: Pointer, faults: &mut Faults) -> Option<T> {
    let Value::Object(members) = value else {
        faults.push(&at, explain::expected_but("an object", Some(&value)));
        return None;
    };
    let mut reader = ObjectReader { members, at, known: Vec::new(), faults };
    let read = T::read(&mut reader);
    reader.refuse_the_rest();
    Some(read)
}

/// The members of one object, taken one by one.
#[derive(Debug)]
pub struct ObjectReader<'a> {
    members: Map<String, Value>,
    at: Pointer,
    known: Vec<&'static str>,
    faults: &'a mut Faults,
}

impl ObjectReader<'_> {
    /// Takes a member that has to be there; a default stands in for one that is missing or wrong.
    pub fn required<T: DeserializeOwned + Default>(&mut self, key: &'static str) -> T {
        let at = self.at.key(key);
        self.take_required(key).and_then(|value| self.typed(&value, &at)).unwrap_or_default()
    }

    /// Takes a member that may be absent or null.
    pub fn optional<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        let (value, at) = (self.take(key)?, self.at.key(key));
        self.typed(&value, &at)
    }

    /// Takes an array whose elements are of one type, with a fault for each that is not. May be absent or null.
    pub fn list<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<Vec<T>> {
        let elements = self.elements(key)?;
        let at = self.at.key(key);
        Some(
            elements
                .into_iter()
                .enumerate()
                .filter_map(|(i, value)| self.typed(&value, &at.index(i)))
                .collect(),
        )
    }

    /// Takes a member that is an object. May be absent or null.
    pub fn object<T: ReadObject>(&mut self, key: &'static str) -> Option<T> {
        let value = self.take(key)?;
        object_at(value, self.at.key(key), self.faults)
    }

    /// Takes an array of objects. May be absent or null.
    pub fn objects<T: ReadObject>(&mut self, key: &'static str) -> Option<Vec<T>> {
        let elements = self.elements(key)?;
        let at = self.at.key(key);
        let read = elements.into_iter().enumerate();
        Some(read.filter_map(|(i, value)| object_at(value, at.index(i), self.faults)).collect())
    }

    /// Returns whether a member is there, whatever it is, without taking it.
    pub fn has(&self, key: &str) -> bool {
        self.members.get(key).is_some_and(|value| !value.is_null())
    }

    /// Notes a fault of a member that its type alone cannot show.
    pub fn fault(&mut self, key: &str, detail: impl Into<String>) {
        self.faults.push(&self.at.key(key), detail);
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.members.remove(key).filter(|value| !value.is_null())
    }

    fn take_required(&mut self, key: &'static str) -> Option<Value> {
        let value = self.take(key);
        if value.is_none() {
            self.fault(key, "is required");
        }
        value
    }

    fn elements(&mut self, key: &'static str) -> Option<Vec<Value>> {
        match self.take(key)? {
            Value::Array(elements) => Some(elements),
            other => {
                self.fault(key, explain::expected_but("an array", Some(&other)));
                None
            }
        }
    }

    fn typed<T: DeserializeOwned>(&mut self, value: &Value, at: &Pointer) -> Option<T> {
        explain::typed(value, at).map_err(|fault| self.faults.add(fault)).ok()
    }

    fn refuse_the_rest(self) {
        for key in self.members.keys() {
            let detail = format!("unknown field, expected one of {}", self.known.join(", "));
            self.faults.push(&self.at.key(key), detail);
        }
    }
}
