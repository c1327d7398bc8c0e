//! Maps names in prompt files to object numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::prompt_set::{PromptConflict, PromptSet};
use sam2_engine::ObjectId;

/// Largest object number.
const MOST_OBJECTS: u32 = 255;

/// Objects that have a name before a prompt file is read: those of a track and of prompt files read
/// earlier. The same name means the same object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownObjects {
    names: BTreeMap<ObjectId, String>,
    last: u32,
}

impl KnownObjects {
    /// Creates a list of objects with these names.
    pub fn new(names: BTreeMap<ObjectId, String>) -> Self {
        let last = names.keys().map(|object| object.0).max().unwrap_or(0);
        Self { names, last }
    }

    /// Returns the names of the objects.
    pub fn names(&self) -> &BTreeMap<ObjectId, String> {
        &self.names
    }

    /// Adds the objects that a prompt file has named.
    pub fn add(&mut self, prompts: &PromptSet) {
        for (object, name) in prompts.names() {
            self.names.entry(*object).or_insert_with(|| name.clone());
            self.last = self.last.max(object.0);
        }
    }

    /// Returns the object of this name.
    pub fn find(&self, name: &str) -> Option<ObjectId> {
        self.names.iter().find(|(_, known)| *known == name).map(|(object, _)| *object)
    }

    /// Checks the number that a file gives to a name.
    ///
    /// # Errors
    /// [`PromptConflict::TwoNames`] and [`PromptConflict::TwoNumbers`].
    pub fn check(&self, object: ObjectId, name: &str) -> Result<(), PromptConflict> {
        if let Some(first) = self.names.get(&object).filter(|known| *known != name) {
            let (first, second) = (first.clone(), name.to_owned());
            return Err(PromptConflict::TwoNames { object, first, second });
        }
        match self.find(name).filter(|known| *known != object) {
            Some(first) => {
                Err(PromptConflict::TwoNumbers { name: name.to_owned(), first, second: object })
            }
            None => Ok(()),
        }
    }

    /// Returns a numbering for the names of a file that also uses the numbers in `used`.
    pub(crate) fn numbering(&self, used: impl IntoIterator<Item = ObjectId>) -> Numbering<'_> {
        let used = used.into_iter().collect();
        Numbering { known: self, used, given: HashMap::new(), last: self.last }
    }
}

/// Numbers given to the names of one file.
pub(crate) struct Numbering<'a> {
    known: &'a KnownObjects,
    used: BTreeSet<ObjectId>,
    given: HashMap<String, ObjectId>,
    last: u32,
}

impl Numbering<'_> {
    /// Returns the number of a name: that of the known object, or else the next free one after
    /// those of the known objects.
    ///
    /// # Errors
    /// [`PromptConflict::TooManyObjects`].
    pub(crate) fn number(&mut self, name: &str) -> Result<ObjectId, PromptConflict> {
        let known = self.given.get(name).copied().or_else(|| self.known.find(name));
        if let Some(known) = known {
            return Ok(known);
        }
        let mut free = self.last + 1;
        while self.used.contains(&ObjectId(free)) {
            free += 1;
        }
        if free > MOST_OBJECTS {
            return Err(PromptConflict::TooManyObjects { name: name.to_owned() });
        }
        self.last = free;
        self.given.insert(name.to_owned(), ObjectId(free));
        Ok(ObjectId(free))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> KnownObjects {
        let names = [(1, "ann"), (2, "bob")].map(|(id, name)| (ObjectId(id), name.to_owned()));
        KnownObjects::new(names.into())
    }

    #[test]
    fn names_are_matched_and_new_ones_come_after() {
        let known = known();
        let mut numbers = known.numbering([ObjectId(3)]);
        let all = ["bob", "carl", "ann", "dora", "carl"].map(|n| numbers.number(n).unwrap().0);
        assert_eq!(all, [2, 4, 1, 5, 4]);
        let none = KnownObjects::default();
        let mut full = none.numbering((1..=255).map(ObjectId));
        assert!(full.number("ann").unwrap_err().to_string().contains("255"));
    }

    #[test]
    fn a_number_that_contradicts_is_refused() {
        let known = known();
        assert_eq!(known.check(ObjectId(2), "bob"), Ok(()));
        assert_eq!(known.check(ObjectId(3), "carl"), Ok(()));
        let told = |id, name| known.check(ObjectId(id), name).unwrap_err().to_string();
        assert!(told(1, "bob").contains("'ann' and 'bob'"), "{}", told(1, "bob"));
        assert!(told(3, "bob").contains("both object 2 and object 3"), "{}", told(3, "bob"));
    }
}
