//! All files together: which version of each object counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use super::document::{Parsed, parse};
use crate::{
    problem::Problem,
    source::object::{Object, ObjectId},
};

/// The files by name, and where each object is defined.
#[derive(Debug, Default)]
pub(super) struct Folder {
    files: BTreeMap<String, File>,
    /// The files that define an object; the first counts.
    definitions: BTreeMap<ObjectId, BTreeSet<String>>,
}

/// Objects, each with the number of its document.
type Objects = BTreeMap<ObjectId, (usize, Object)>;

#[derive(Debug)]
struct File {
    objects: Objects,
    contents: u64,
}

/// The objects that have changed, with what they were before.
pub(super) type Before = BTreeMap<ObjectId, Option<Object>>;

impl Folder {
    /// Replaces the contents of a file. Of an object that can no longer be read, the last version
    /// of this file stays. Notes what changes in `before`, and returns what is wrong.
    pub(super) fn set(&mut self, name: &str, bytes: &[u8], before: &mut Before) -> Vec<Problem> {
        let contents = hash(bytes);
        if self.files.get(name).is_some_and(|file| file.contents == contents) {
            return Vec::new();
        }
        let mut parsed = parse(name, bytes);
        self.keep_last_good(name, &mut parsed);
        self.replace(name, Some(File { objects: parsed.objects, contents }), before);
        parsed.problems.extend(self.shadowed(name));
        parsed.problems
    }

    /// Forgets a file and its objects. Notes what changes in `before`.
    pub(super) fn remove(&mut self, name: &str, before: &mut Before) {
        self.replace(name, None, before);
    }

    /// The version of an object that counts.
    pub(super) fn get(&self, id: &ObjectId) -> Option<&Object> {
        let file = self.definitions.get(id)?.first()?;
        self.files.get(file)?.objects.get(id).map(|(_, object)| object)
    }

    /// Where the version of an object that counts is: file and document.
    pub(super) fn place(&self, id: &ObjectId) -> Option<(&str, usize)> {
        let file = self.definitions.get(id)?.first()?;
        self.files.get(file)?.objects.get(id).map(|(document, _)| (file.as_str(), *document))
    }

    fn keep_last_good(&self, name: &str, parsed: &mut Parsed) {
        let Some(old) = self.files.get(name) else { return };
        let lost = |id: &ObjectId| parsed.illegible || parsed.broken.contains(id);
        let kept: Vec<_> = old
            .objects
            .iter()
            .filter(|(id, _)| lost(id) && !parsed.objects.contains_key(id))
            .map(|(id, located)| (id.clone(), located.clone()))
            .collect();
        parsed.objects.extend(kept);
    }

    fn replace(&mut self, name: &str, file: Option<File>, before: &mut Before) {
        let old = self.files.get(name).map(|file| &file.objects);
        let new = file.as_ref().map(|file| &file.objects);
        let differs = |id: &&ObjectId| version(old, id) != version(new, id);
        let ids: BTreeSet<_> =
            old.into_iter().chain(new).flat_map(BTreeMap::keys).filter(differs).cloned().collect();
        for id in &ids {
            before.entry(id.clone()).or_insert_with(|| self.get(id).cloned());
        }
        for id in ids {
            let defines = file.as_ref().is_some_and(|file| file.objects.contains_key(&id));
            self.define(id, name, defines);
        }
        match file {
            Some(file) => self.files.insert(name.to_owned(), file),
            None => self.files.remove(name),
        };
    }

    fn define(&mut self, id: ObjectId, name: &str, defines: bool) {
        if defines {
            self.definitions.entry(id).or_default().insert(name.to_owned());
            return;
        }
        if let Some(files) = self.definitions.get_mut(&id) {
            files.remove(name);
            if files.is_empty() {
                self.definitions.remove(&id);
            }
        }
    }

    /// The objects that are defined in this file and another one.
    fn shadowed(&self, name: &str) -> Vec<Problem> {
        let objects = self.files.get(name).into_iter().flat_map(|file| &file.objects);
        let problem = |(id, (document, _)): (&ObjectId, &(usize, Object))| {
            let mut files = self.definitions.get(id)?.iter();
            let first = files.next()?;
            let (loser, document, winner) = if first == name {
                let loser = files.next()?;
                (loser, self.files.get(loser)?.objects.get(id)?.0, name)
            } else {
                (&name.to_owned(), *document, first.as_str())
            };
            let message = format!("defined in {winner} as well, which comes first; ignored here");
            Some(Problem::new(id, "", message).at(loser, document))
        };
        objects.filter_map(problem).collect()
    }
}

fn version<'a>(objects: Option<&'a Objects>, id: &ObjectId) -> Option<&'a Object> {
    objects?.get(id).map(|(_, object)| object)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
