//! The order of a push, without any I/O: what refers is sent after what it refers to.

use std::collections::{HashMap, HashSet, VecDeque};

use updraft_ostree::{Checksum, Commit, DirTree, ObjectName, ObjectType};

/// What is to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Ask whether it is there. Report with [`Plan::present`] or [`Plan::absent`].
    Ask(ObjectName),
    /// Send it: everything below it is there. Report with [`Plan::sent`].
    Send(ObjectName),
}

/// What an object that is not there refers to.
#[derive(Debug, Clone)]
pub(super) enum Children {
    /// Nothing: it is a leaf.
    None,
    /// The root of a commit.
    Commit(Box<Commit>),
    /// The entries of a directory.
    DirTree(DirTree),
}

/// The plan of one push.
#[derive(Debug)]
pub(super) struct Plan {
    ready: VecDeque<Task>,
    seen: HashSet<ObjectName>,
    /// For objects that wait: how many of their children are not there yet.
    waiting: HashMap<ObjectName, usize>,
    /// Who waits for an object.
    parents: HashMap<ObjectName, Vec<ObjectName>>,
    in_flight: usize,
}

impl Plan {
    /// A plan to send this commit.
    pub(super) fn new(commit: Checksum) -> Self {
        let commit = ObjectName::new(commit, ObjectType::Commit);
        Self {
            ready: VecDeque::from([Task::Ask(commit)]),
            seen: HashSet::from([commit]),
            waiting: HashMap::new(),
            parents: HashMap::new(),
            in_flight: 0,
        }
    }

    /// What to do next; `None` when there is nothing at the moment.
    pub(super) fn next_task(&mut self) -> Option<Task> {
        let task = self.ready.pop_front()?;
        self.in_flight += 1;
        Some(task)
    }

    /// Whether all is there.
    pub(super) fn is_done(&self) -> bool {
        self.in_flight == 0 && self.ready.is_empty()
    }

    /// How many objects are known so far.
    pub(super) fn known(&self) -> usize {
        self.seen.len()
    }

    /// The server has the object, and so all below it.
    pub(super) fn present(&mut self, object: &ObjectName) {
        self.in_flight -= 1;
        self.settle(object);
    }

    /// The server does not have the object.
    pub(super) fn absent(&mut self, object: &ObjectName, children: &Children) {
        self.in_flight -= 1;
        let children = names(children);
        let mut pending = 0;
        for child in children {
            if self.seen.insert(child) {
                self.ready.push_back(Task::Ask(child));
                self.parents.insert(child, vec![*object]);
                pending += 1;
            } else if let Some(parents) = self.parents.get_mut(&child) {
                // Known, but not there yet.
                parents.push(*object);
                pending += 1;
            }
        }
        if pending == 0 {
            self.ready.push_front(Task::Send(*object));
        } else {
            self.waiting.insert(*object, pending);
        }
    }

    /// The server has taken the object.
    pub(super) fn sent(&mut self, object: &ObjectName) {
        self.in_flight -= 1;
        self.settle(object);
    }

    /// An object is there: those that waited for it may be ready.
    fn settle(&mut self, object: &ObjectName) {
        for parent in self.parents.remove(object).unwrap_or_default() {
            let Some(left) = self.waiting.get_mut(&parent) else { continue };
            *left -= 1;
            if *left == 0 {
                self.waiting.remove(&parent);
                self.ready.push_front(Task::Send(parent));
            }
        }
    }
}

/// Each child once.
fn names(children: &Children) -> HashSet<ObjectName> {
    let name = ObjectName::new;
    match children {
        Children::None => HashSet::new(),
        Children::Commit(commit) => HashSet::from([
            name(commit.root_dirtree, ObjectType::DirTree),
            name(commit.root_dirmeta, ObjectType::DirMeta),
        ]),
        Children::DirTree(tree) => {
            let files = tree.files.values().map(|file| name(*file, ObjectType::File));
            let dirs = tree.dirs.values().flat_map(|dir| {
                [name(dir.dirtree, ObjectType::DirTree), name(dir.dirmeta, ObjectType::DirMeta)]
            });
            files.chain(dirs).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use updraft_ostree::{Checksum, Commit, DirEntry, DirTree, FileName, Metadata, ObjectType};

    use super::{Children, Plan, Task};

    fn sum(text: &str) -> Checksum {
        Checksum::of(text.as_bytes())
    }

    /// root: file a, dirs x and y that are the same tree (file b); all dirmetas are one.
    fn children(object: &updraft_ostree::ObjectName) -> Children {
        let file = |name: &str| (FileName::new(name).unwrap(), sum(name));
        let dir = |name: &str| {
            let entry = DirEntry { dirtree: sum("sub"), dirmeta: sum("meta") };
            (FileName::new(name).unwrap(), entry)
        };
        match object.object_type {
            ObjectType::Commit => Children::Commit(Box::new(Commit {
                metadata: Metadata::new(),
                parent: None,
                related: Vec::new(),
                subject: String::new(),
                body: String::new(),
                timestamp: 0,
                root_dirtree: sum("root"),
                root_dirmeta: sum("meta"),
            })),
            ObjectType::DirTree if object.checksum == sum("root") => Children::DirTree(DirTree {
                files: [file("a")].into(),
                dirs: [dir("x"), dir("y")].into(),
            }),
            ObjectType::DirTree => {
                Children::DirTree(DirTree { files: [file("b")].into(), ..DirTree::default() })
            }
            _ => Children::None,
        }
    }

    fn run(server: &mut HashSet<Checksum>) -> Vec<Checksum> {
        let mut plan = Plan::new(sum("commit"));
        let mut sent = Vec::new();
        while let Some(task) = plan.next_task() {
            match task {
                Task::Ask(object) if server.contains(&object.checksum) => plan.present(&object),
                Task::Ask(object) => plan.absent(&object, &children(&object)),
                Task::Send(object) => {
                    for child in super::names(&children(&object)) {
                        assert!(server.contains(&child.checksum), "{object} before {child}");
                    }
                    server.insert(object.checksum);
                    sent.push(object.checksum);
                    plan.sent(&object);
                }
            }
        }
        assert!(plan.is_done());
        sent
    }

    #[test]
    fn everything_is_sent_once_and_the_commit_last() {
        let sent = run(&mut HashSet::new());
        assert_eq!(sent.len(), 6);
        assert_eq!(sent.last(), Some(&sum("commit")));
    }

    #[test]
    fn what_is_there_is_not_sent_or_looked_into() {
        let mut server = HashSet::from([sum("sub"), sum("b"), sum("a")]);
        let sent = run(&mut server);
        assert_eq!(sent, [sum("meta"), sum("root"), sum("commit")]);
        assert_eq!(run(&mut server), []);
    }
}
