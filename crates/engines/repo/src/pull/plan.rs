//! What a pull needs next, without any I/O: a [`Planner`] is asked for [`Want`]s and told what
//! they turned out to be.
//!
//! Metadata comes before content, because only metadata tells what else there is to fetch and so
//! keeps all workers busy. Every object is asked for once. An object that is present already is
//! reported like one that was fetched: what it names may still be missing after an interrupted
//! pull.

use std::collections::{BTreeSet, HashSet, VecDeque};

use updraft_ostree::{Checksum, Commit, DirTree, ObjectName, ObjectType};

/// More objects than this are not planned: no tree that fits a disk has as many.
const MAX_OBJECTS: usize = 100_000_000;

/// How many generations of parents are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// This many before the commit asked for.
    Parents(u32),
    /// All there are.
    All,
}

impl Default for Depth {
    fn default() -> Self {
        Self::Parents(0)
    }
}

impl Depth {
    /// As on libostree's command line: negative means all.
    pub fn from_signed(depth: i64) -> Self {
        if depth < 0 { Self::All } else { Self::Parents(u32::try_from(depth).unwrap_or(u32::MAX)) }
    }

    /// What is left for a commit's parent, if it is wanted at all.
    fn below(self) -> Option<Self> {
        match self {
            Self::All => Some(Self::All),
            Self::Parents(depth) => depth.checked_sub(1).map(Self::Parents),
        }
    }
}

/// Which paths below a directory are wanted: all, or those that start with one of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Filter(Option<BTreeSet<Vec<String>>>);

impl Filter {
    /// Everything.
    pub fn all() -> Self {
        Self(None)
    }

    /// Only these paths (and what is below); none means everything.
    pub fn paths(paths: &[String]) -> Self {
        let split = |path: &String| -> Vec<String> {
            path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let paths: BTreeSet<_> = paths.iter().map(split).collect();
        if paths.is_empty() || paths.iter().any(Vec::is_empty) {
            Self(None)
        } else {
            Self(Some(paths))
        }
    }

    /// Whether everything is wanted.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// The filter for the entry `name`; `None` when nothing of it is wanted.
    fn enter(&self, name: &str) -> Option<Self> {
        let Some(paths) = &self.0 else { return Some(Self(None)) };
        let mut below = BTreeSet::new();
        for path in paths {
            match path.split_first() {
                Some((first, [])) if first == name => return Some(Self(None)),
                Some((first, rest)) if first == name => {
                    below.insert(rest.to_vec());
                }
                _ => {}
            }
        }
        (!below.is_empty()).then_some(Self(Some(below)))
    }
}

/// Something to look for, and to fetch when it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// A commit. Report with [`Planner::commit`] or, if it is a parent, [`Planner::no_parent`].
    Commit {
        /// Its checksum.
        checksum: Checksum,
        /// How many generations of parents are wanted.
        depth: Depth,
        /// Whether it was only found as a parent, and may be missing.
        is_parent: bool,
    },
    /// The names in a directory. Report with [`Planner::dirtree`].
    DirTree {
        /// Its checksum.
        checksum: Checksum,
        /// What of it is wanted.
        filter: Filter,
    },
    /// The metadata of a directory. Report with [`Planner::leaf`].
    DirMeta(Checksum),
    /// A file. Report with [`Planner::leaf`].
    File(Checksum),
}

impl Want {
    /// The object.
    pub fn name(&self) -> ObjectName {
        let (checksum, object_type) = match self {
            Self::Commit { checksum, .. } => (*checksum, ObjectType::Commit),
            Self::DirTree { checksum, .. } => (*checksum, ObjectType::DirTree),
            Self::DirMeta(checksum) => (*checksum, ObjectType::DirMeta),
            Self::File(checksum) => (*checksum, ObjectType::File),
        };
        ObjectName::new(checksum, object_type)
    }
}

/// What a commit that was found means for the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// Its tree has to be looked through.
    Wanted,
    /// Its tree is known to be complete, or not asked for.
    Skip,
}

/// A tree names more objects than are planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("plan the pull: the trees name more than {MAX_OBJECTS} objects")]
pub struct TooManyObjects;

/// The plan of one pull.
#[derive(Debug, Default)]
pub struct Planner {
    metadata: Vec<Want>,
    files: VecDeque<Checksum>,
    seen: HashSet<ObjectName>,
    seen_filtered: HashSet<(Checksum, Filter)>,
    in_flight: usize,
    filter: Filter,
}

impl Planner {
    /// A plan without wants, which looks at these paths of each tree.
    pub fn new(filter: Filter) -> Self {
        Self { filter, ..Self::default() }
    }

    /// Asks for a commit and its parents.
    pub fn want_commit(&mut self, checksum: Checksum, depth: Depth) {
        if self.seen.insert(ObjectName::new(checksum, ObjectType::Commit)) {
            self.metadata.push(Want::Commit { checksum, depth, is_parent: false });
        }
    }

    /// What to look for next; `None` when nothing is known to be missing at the moment. Each
    /// one has to be reported.
    pub fn next_want(&mut self) -> Option<Want> {
        let want = self.metadata.pop().or_else(|| self.files.pop_front().map(Want::File));
        if want.is_some() {
            self.in_flight += 1;
        }
        want
    }

    /// Whether everything was asked for and reported.
    pub fn is_done(&self) -> bool {
        self.in_flight == 0 && self.metadata.is_empty() && self.files.is_empty()
    }

    /// How many objects are known so far.
    pub fn known(&self) -> usize {
        self.seen.len() + self.seen_filtered.len()
    }

    /// A commit was found.
    pub fn commit(
        &mut self,
        commit: &Commit,
        depth: Depth,
        contents: Contents,
    ) -> Result<(), TooManyObjects> {
        self.finish_one();
        if let (Some(parent), Some(depth)) = (commit.parent, depth.below())
            && self.seen.insert(ObjectName::new(parent, ObjectType::Commit))
        {
            self.metadata.push(Want::Commit { checksum: parent, depth, is_parent: true });
        }
        if contents == Contents::Wanted {
            self.want_dirtree(commit.root_dirtree, self.filter.clone());
            self.want_dirmeta(commit.root_dirmeta);
        }
        self.check_size()
    }

    /// A commit that was only wanted as a parent does not exist.
    pub fn no_parent(&mut self) {
        self.finish_one();
    }

    /// A directory was found, asked for with `filter`.
    pub fn dirtree(&mut self, tree: &DirTree, filter: &Filter) -> Result<(), TooManyObjects> {
        self.finish_one();
        for (name, checksum) in &tree.files {
            if filter.enter(name.as_str()).is_some()
                && self.seen.insert(ObjectName::new(*checksum, ObjectType::File))
            {
                self.files.push_back(*checksum);
            }
        }
        for (name, entry) in &tree.dirs {
            if let Some(below) = filter.enter(name.as_str()) {
                self.want_dirtree(entry.dirtree, below);
                self.want_dirmeta(entry.dirmeta);
            }
        }
        self.check_size()
    }

    /// A file or a directory's metadata was found.
    pub fn leaf(&mut self) {
        self.finish_one();
    }

    fn want_dirtree(&mut self, checksum: Checksum, filter: Filter) {
        let new = if filter.is_all() {
            self.seen.insert(ObjectName::new(checksum, ObjectType::DirTree))
        } else {
            self.seen_filtered.insert((checksum, filter.clone()))
        };
        if new {
            self.metadata.push(Want::DirTree { checksum, filter });
        }
    }

    fn want_dirmeta(&mut self, checksum: Checksum) {
        if self.seen.insert(ObjectName::new(checksum, ObjectType::DirMeta)) {
            self.metadata.push(Want::DirMeta(checksum));
        }
    }

    fn finish_one(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn check_size(&self) -> Result<(), TooManyObjects> {
        if self.known() > MAX_OBJECTS { Err(TooManyObjects) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use updraft_ostree::{Checksum, Commit, DirEntry, DirTree, FileName, Metadata};

    use super::{Contents, Depth, Filter, Planner, Want};

    fn sum(text: &str) -> Checksum {
        Checksum::of(text.as_bytes())
    }

    fn tree(files: &[&str], dirs: &[(&str, Checksum)]) -> DirTree {
        let name = |text: &str| FileName::new(text).unwrap();
        DirTree {
            files: files.iter().map(|file| (name(file), sum(file))).collect(),
            dirs: dirs
                .iter()
                .map(|(dir, dirtree)| {
                    (name(dir), DirEntry { dirtree: *dirtree, dirmeta: sum("meta") })
                })
                .collect(),
        }
    }

    /// (name of the commit or tree, what it is): two commits, of which the first is the parent.
    struct World {
        commits: BTreeMap<Checksum, Commit>,
        trees: BTreeMap<Checksum, DirTree>,
    }

    impl World {
        fn new() -> Self {
            let leaf = tree(&["a", "b"], &[]);
            let root = tree(&["b", "c"], &[("one", leaf.checksum()), ("two", leaf.checksum())]);
            let commit = |parent| Commit {
                metadata: Metadata::new(),
                parent,
                related: Vec::new(),
                subject: String::new(),
                body: String::new(),
                timestamp: 0,
                root_dirtree: root.checksum(),
                root_dirmeta: sum("meta"),
            };
            let first = commit(None);
            let second = commit(Some(first.checksum()));
            Self {
                commits: [(first.checksum(), first), (second.checksum(), second)].into(),
                trees: [(leaf.checksum(), leaf), (root.checksum(), root)].into(),
            }
        }

        fn tip(&self) -> Checksum {
            let tip = self.commits.iter().find(|(_, commit)| commit.parent.is_some());
            *tip.unwrap().0
        }

        /// Runs a plan to its end; gives the files and the number of commits asked for.
        fn run(&self, mut planner: Planner) -> (Vec<Checksum>, usize) {
            let (mut files, mut commits) = (Vec::new(), 0);
            while let Some(want) = planner.next_want() {
                assert!(!planner.is_done());
                match want {
                    Want::Commit { checksum, depth, .. } => {
                        commits += 1;
                        let commit = &self.commits[&checksum];
                        planner.commit(commit, depth, Contents::Wanted).unwrap();
                    }
                    Want::DirTree { checksum, filter } => {
                        planner.dirtree(&self.trees[&checksum], &filter).unwrap();
                    }
                    Want::DirMeta(_) => planner.leaf(),
                    Want::File(checksum) => {
                        files.push(checksum);
                        planner.leaf();
                    }
                }
            }
            assert!(planner.is_done());
            (files, commits)
        }
    }

    #[test]
    fn everything_is_asked_for_once() {
        let world = World::new();
        let mut planner = Planner::new(Filter::all());
        planner.want_commit(world.tip(), Depth::All);
        let (mut files, commits) = world.run(planner);
        files.sort();
        let mut expected = vec![sum("a"), sum("b"), sum("c")];
        expected.sort();
        assert_eq!((files, commits), (expected, 2));
    }

    #[test]
    fn depth_bounds_the_history() {
        for (depth, commits) in [(0, 1), (1, 2), (7, 2), (-1, 2)] {
            let world = World::new();
            let mut planner = Planner::new(Filter::all());
            planner.want_commit(world.tip(), Depth::from_signed(depth));
            assert_eq!(world.run(planner).1, commits, "depth {depth}");
        }
    }

    #[test]
    fn paths_bound_the_tree() {
        for (paths, expected) in [
            (&["/one"][..], &["a", "b"][..]),
            (&["/one/a"], &["a"]),
            (&["c", "two/b"], &["b", "c"]),
            (&["/"], &["a", "b", "c"]),
            (&["nothing"], &[]),
        ] {
            let world = World::new();
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let mut planner = Planner::new(Filter::paths(&paths));
            planner.want_commit(world.tip(), Depth::default());
            let mut files = world.run(planner).0;
            files.sort();
            let mut expected: Vec<_> = expected.iter().map(|name| sum(name)).collect();
            expected.sort();
            assert_eq!(files, expected, "{paths:?}");
        }
    }
}
