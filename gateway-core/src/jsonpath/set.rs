//! Several paths read from one document together.
//!
//! The document is read once: a pass over its text finds where the plain beginnings of all paths lead (`a.b[0]` of
//! `a.b[0]..c`). A value is made into a tree only where a path goes on from there with `[*]`, `..` or a negative
//! index, or where an array or object becomes text; and then once for all paths, since of two beginnings that lie
//! within each other the outer one stands for both.

use std::collections::BTreeMap;

use super::fuel::Fuel;
use super::select::select;
use super::tree::{List, Node, Tree, scalar};
use super::{JsonPath, ReadError, Reading, Step, raw};

/// Places for values that need no allocation: as many as an expression has variables.
const FEW: usize = 8;

/// Paths, ready to be evaluated together.
#[derive(Debug, Clone)]
pub struct PathSet {
    root: Stop,
    /// How many values `root` asks for.
    places: usize,
    paths: Vec<Rest>,
}

/// What is left of a path behind its plain beginning.
#[derive(Debug, Clone)]
struct Rest {
    /// Which value it goes on from.
    place: usize,
    steps: Vec<Step>,
    is_definite: bool,
}

/// What happens at one place of the document.
#[derive(Debug, Clone)]
pub(super) enum Stop {
    /// The value is wanted, at this place of the list.
    Value(usize),
    /// The way goes on.
    Fork(Fork),
}

/// Ways on from one place; at least one path goes through each.
#[derive(Debug, Clone)]
pub(super) struct Fork {
    /// By name, sorted.
    pub(super) members: Vec<(String, Stop)>,
    /// By index, sorted.
    pub(super) elements: Vec<(usize, Stop)>,
    /// The first of the places below here; they are neighbours.
    pub(super) first: usize,
    /// Behind the last of them.
    pub(super) end: usize,
}

impl Stop {
    pub(super) fn first(&self) -> usize {
        match self {
            Self::Value(place) => *place,
            Self::Fork(fork) => fork.first,
        }
    }
}

impl Fork {
    pub(super) fn member(&self, name: &str) -> Option<&Stop> {
        if let [(only, stop)] = self.members.as_slice() {
            return (only == name).then_some(stop);
        }
        let found = self
            .members
            .binary_search_by(|(known, _)| known.as_str().cmp(name));
        found.ok().map(|at| &self.members[at].1)
    }

    pub(super) fn stops(&self) -> impl Iterator<Item = &Stop> {
        let members = self.members.iter().map(|(_, stop)| stop);
        members.chain(self.elements.iter().map(|(_, stop)| stop))
    }
}

impl PathSet {
    /// Makes paths ready; their order is that of the readings.
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p JsonPath>) -> Self {
        let paths: Vec<&JsonPath> = paths.into_iter().collect();
        let begun: Vec<Begun<'_>> = paths
            .iter()
            .enumerate()
            .map(|(path, json_path)| Begun {
                path,
                plain: json_path.plain_steps(),
            })
            .collect();
        let mut planner = Planner {
            places: 0,
            cut: vec![(0, 0); paths.len()],
        };
        let root = planner.stop(&begun, 0);
        let rest = paths
            .iter()
            .zip(&planner.cut)
            .map(|(path, &(place, used))| Rest {
                place,
                steps: path.steps[used..].to_vec(),
                is_definite: path.is_definite(),
            });
        Self {
            root,
            places: planner.places,
            paths: rest.collect(),
        }
    }

    /// How many paths there are.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there is no path.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Evaluates all paths on JSON text; `readings` has a place for each. A path that names one value makes no copy of
    /// the message, nor of a string without escapes; one that names many reads as a list, or as missing when it finds
    /// none. What all of them may cost together is bounded by [`MAX_WORK`](super::MAX_WORK) and
    /// [`MAX_TEXT_BYTES`](super::MAX_TEXT_BYTES).
    pub fn read<'t>(&self, json: &'t str, readings: &mut [Reading<'t>]) -> Result<(), ReadError> {
        self.read_within(json, readings, &mut Fuel::full())
    }

    /// [`PathSet::read`] with fuel of the caller's.
    pub(super) fn read_within<'t>(
        &self,
        json: &'t str,
        readings: &mut [Reading<'t>],
        fuel: &mut Fuel,
    ) -> Result<(), ReadError> {
        let (mut few, mut many) = ([None; FEW], Vec::new());
        let found = if self.places <= FEW {
            &mut few[..self.places]
        } else {
            many.resize(self.places, None);
            &mut many
        };
        raw::find(&self.root, json, found)?;
        let mut trees = Vec::new();
        for (rest, reading) in self.paths.iter().zip(readings) {
            *reading = match found[rest.place] {
                Some(value) => rest.read(value, &mut trees, fuel)?,
                None => Reading::Missing,
            };
        }
        Ok(())
    }
}

impl Rest {
    /// Goes on from the text of the value that the plain beginning led to.
    fn read<'t>(
        &self,
        value: &'t str,
        trees: &mut Vec<Option<Tree<'t>>>,
        fuel: &mut Fuel,
    ) -> Result<Reading<'t>, ReadError> {
        if self.steps.is_empty() && !value.starts_with(['[', '{']) {
            return scalar(value, fuel);
        }
        if trees.len() <= self.place {
            trees.resize_with(self.place + 1, || None);
        }
        let tree = match &mut trees[self.place] {
            Some(tree) => tree,
            none => none.insert(Tree::build(value, fuel)?),
        };
        if self.is_definite {
            let mut found = None;
            let mut take = |node, _: &mut Fuel| {
                found = Some(node);
                Ok(())
            };
            select(tree.root(), &self.steps, fuel, &mut take)?;
            return found.map_or(Ok(Reading::Missing), |node: Node<'_, 't>| {
                node.reading(fuel)
            });
        }
        let mut list = List::default();
        let mut take = |node: Node<'_, 't>, fuel: &mut Fuel| list.push(node, fuel);
        select(tree.root(), &self.steps, fuel, &mut take)?;
        list.close(fuel)
    }
}

/// A path and its plain beginning.
#[derive(Clone, Copy)]
struct Begun<'p> {
    path: usize,
    plain: &'p [Step],
}

struct Planner {
    places: usize,
    /// For each path: the place of the value it goes on from, and how many of its steps led there.
    cut: Vec<(usize, usize)>,
}

impl Planner {
    /// Where these paths go from one place, which `depth` steps led to.
    fn stop(&mut self, paths: &[Begun<'_>], depth: usize) -> Stop {
        if paths.iter().any(|begun| begun.plain.len() == depth) {
            for begun in paths {
                self.cut[begun.path] = (self.places, depth);
            }
            self.places += 1;
            return Stop::Value(self.places - 1);
        }
        let mut members: BTreeMap<&str, Vec<Begun<'_>>> = BTreeMap::new();
        let mut elements: BTreeMap<usize, Vec<Begun<'_>>> = BTreeMap::new();
        for begun in paths {
            match &begun.plain[depth] {
                Step::Key(name) => members.entry(name).or_default().push(*begun),
                Step::Index(index) => {
                    // An index beyond what memory holds leads nowhere, as does the last of all.
                    let index = usize::try_from(*index).unwrap_or(usize::MAX);
                    elements.entry(index).or_default().push(*begun);
                }
                Step::Every | Step::Descendants => {}
            }
        }
        let first = self.places;
        let members = members
            .into_iter()
            .map(|(name, paths)| (name.to_owned(), self.stop(&paths, depth + 1)))
            .collect();
        let elements = elements
            .into_iter()
            .map(|(index, paths)| (index, self.stop(&paths, depth + 1)))
            .collect();
        Stop::Fork(Fork {
            members,
            elements,
            first,
            end: self.places,
        })
    }
}
