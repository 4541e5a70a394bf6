//! Pull, push, fsck, prune and summary against the real `ostree`, lying servers and kills.

mod peer;
mod world;

mod attacks;
mod care;
mod exchange;
mod push;
mod resume;
mod rules;
