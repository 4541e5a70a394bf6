//! The order of the keys of a `GVariantDict`, which is that of GLib's hash table.
//!
//! Commits by libostree whose metadata went through one have it, so that a tool that makes the same
//! commit has to have it, too. The table is GLib's `GHashTable` since 2.60 (`glib/ghash.c`) with
//! `g_str_hash` and without removals: open addressing, triangular probing, a prime for each size.

/// For each size, as a power of two from 8 on, the largest prime below it.
const PRIMES: [u32; 10] = [7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093];
/// The power of two of the smallest table.
const SMALLEST: usize = 3;

/// The keys, which are different, in the order in which a table has them that they were put into.
/// More than a few thousand stay as they are: no commit has as many.
pub(crate) fn hash_order(keys: &[&str]) -> Vec<usize> {
    let mut table = Table { slots: vec![None; 1 << SMALLEST], prime: PRIMES[0] };
    for (number, key) in keys.iter().enumerate() {
        table.put(number, hash(key));
        let used = number + 1;
        if table.slots.len() > used + used / 16 {
            continue;
        }
        // Room for a third more, in powers of two.
        let wanted = used + used / 3;
        let bits = ((usize::BITS - wanted.leading_zeros()) as usize).max(SMALLEST);
        let Some(prime) = PRIMES.get(bits - SMALLEST) else { return (0..keys.len()).collect() };
        table.grow(1 << bits, *prime);
    }
    table.slots.into_iter().flatten().map(|(number, _)| number).collect()
}

/// A key's number and its hash.
type Slot = Option<(usize, u32)>;

struct Table {
    slots: Vec<Slot>,
    prime: u32,
}

impl Table {
    /// The first slot for a hash, in the order of the probes, that is not `taken`.
    fn find(&self, hash: u32, taken: impl Fn(usize) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (hash.wrapping_mul(11) % self.prime) as usize;
        let mut step = 0;
        while taken(at) {
            step += 1;
            at = (at + step) & mask;
        }
        at
    }

    fn put(&mut self, number: usize, hash: u32) {
        let at = self.find(hash, |at| self.slots[at].is_some());
        self.slots[at] = Some((number, hash));
    }

    /// Makes it larger in place: what is in the way of a key that finds its new slot is moved next.
    fn grow(&mut self, size: usize, prime: u32) {
        let before = self.slots.len();
        self.slots.resize(size, None);
        self.prime = prime;
        let mut settled = vec![false; size];
        for from in 0..before {
            if settled[from] {
                continue;
            }
            let mut moving = self.slots[from].take();
            while let Some((number, hash)) = moving {
                let to = self.find(hash, |at| settled[at]);
                settled[to] = true;
                moving = self.slots[to].replace((number, hash));
            }
        }
    }
}

/// `g_str_hash`, with the two values that mean something else to the table replaced.
fn hash(key: &str) -> u32 {
    let add = |hash: u32, byte: u8| {
        // The characters of C are signed.
        hash.wrapping_mul(33).wrapping_add_signed(i32::from(byte.cast_signed()))
    };
    key.bytes().fold(5381, add).max(2)
}

#[cfg(test)]
mod tests {
    use super::hash_order;

    /// As the real tool wrote `commit --bootable` with these keys.
    #[test]
    fn the_order_is_glibs() {
        let bootable = ["ostree.bootable", "ostree.linux"];
        for (own, order) in [
            (vec![], "ostree.linux ostree.bootable"),
            (
                vec!["version", "ostree.ref-binding"],
                "ostree.linux version ostree.bootable ostree.ref-binding",
            ),
            (names(4), "key1 key3 ostree.bootable ostree.linux key2 key4"),
            (names(5), "key1 key3 key5 ostree.bootable key2 key4 ostree.linux"),
            (names(6), "key6 key5 ostree.bootable key4 key3 key2 key1 ostree.linux"),
            (
                names(20),
                "key14 key17 ostree.linux key3 key6 key12 key9 key15 key20 key18 ostree.bootable key1 \
              key4 key10 key7 key13 key16 key19 key2 key5 key11 key8",
            ),
        ] {
            // `--orphan` without `--no-bindings` puts an empty binding between.
            let binding = if own.len() > 5 { &["ostree.ref-binding"][..] } else { &[] };
            let keys: Vec<&str> = own.iter().chain(binding).chain(&bootable).copied().collect();
            let ordered: Vec<&str> = hash_order(&keys).into_iter().map(|at| keys[at]).collect();
            let shown: Vec<&str> =
                ordered.into_iter().filter(|key| own.len() <= 5 || !key.contains('-')).collect();
            assert_eq!(shown.join(" "), order);
        }
    }

    fn names(count: usize) -> Vec<&'static str> {
        (1..=count).map(|number| &*format!("key{number}").leak()).collect()
    }

    #[test]
    fn every_key_is_there_once() {
        for count in [0, 7, 8, 100, 3000, 9000] {
            let mut order = hash_order(&names(count));
            order.sort_unstable();
            assert_eq!(order, (0..count).collect::<Vec<_>>());
        }
    }
}
