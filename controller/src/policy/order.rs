//! In which order definitions that use each other can be worked out.

/// What [`resolve`] finds.
pub(super) struct Order {
    /// Every definition that is in no cycle and uses none of one, after those it uses.
    pub(super) sorted: Vec<usize>,
    /// The cycles: definitions in the order in which each uses the next; the last uses the first.
    pub(super) cycles: Vec<Cycle>,
}

/// Definitions that use each other in a circle.
#[derive(Debug, PartialEq)]
pub(super) struct Cycle {
    /// The first few.
    pub(super) members: Vec<usize>,
    /// Whether there are more.
    pub(super) is_cut: bool,
}

/// Members of a cycle that are kept; a message need not name more.
const MEMBERS: usize = 8;

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    /// On the path of the search, at this depth.
    Open(usize),
    Good,
    /// In a cycle, or a user of one.
    Bad,
}

struct Step {
    at: usize,
    followed: usize,
    is_bad: bool,
}

/// Sorts definitions, of which number `i` uses those in `uses[i]`. Iterative: chains may be as long as the policy.
pub(super) fn resolve(uses: &[Vec<usize>]) -> Order {
    let mut state = vec![State::New; uses.len()];
    let mut order = Order { sorted: Vec::new(), cycles: Vec::new() };
    for start in 0..uses.len() {
        if state[start] == State::New {
            search(start, uses, &mut state, &mut order);
        }
    }
    order
}

fn search(start: usize, uses: &[Vec<usize>], state: &mut [State], order: &mut Order) {
    state[start] = State::Open(0);
    let mut path = vec![Step { at: start, followed: 0, is_bad: false }];
    while let Some(step) = path.last_mut() {
        let Some(&next) = uses[step.at].get(step.followed) else {
            let Step { at, is_bad, .. } = *step;
            path.pop();
            state[at] = if is_bad { State::Bad } else { State::Good };
            if let Some(user) = path.last_mut() {
                user.is_bad |= is_bad;
            }
            if !is_bad {
                order.sorted.push(at);
            }
            continue;
        };
        step.followed += 1;
        match state[next] {
            State::Good => {}
            State::Bad => step.is_bad = true,
            State::Open(depth) => {
                step.is_bad = true;
                let members: Vec<usize> = path[depth..].iter().take(MEMBERS).map(|step| step.at).collect();
                order.cycles.push(Cycle { is_cut: path.len() - depth > members.len(), members });
            }
            State::New => {
                state[next] = State::Open(path.len());
                path.push(Step { at: next, followed: 0, is_bad: false });
            }
        }
    }
}

impl Cycle {
    /// `a -> b -> a`, with the names that `name` gives.
    pub(super) fn show<'n>(&self, name: impl Fn(usize) -> &'n str) -> String {
        let mut names: Vec<&str> = self.members.iter().map(|member| name(*member)).collect();
        if self.is_cut {
            names.push("...");
        }
        names.extend(self.members.first().map(|first| name(*first)));
        names.join(" -> ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_after_what_they_use() {
        let order = resolve(&[vec![1, 2], vec![2], vec![], vec![0]]);
        assert_eq!(order.sorted, [2, 1, 0, 3]);
        assert!(order.cycles.is_empty());
    }

    #[test]
    fn cycles_are_named_and_their_users_left_out() {
        let order = resolve(&[vec![1], vec![2], vec![0], vec![0], vec![4], vec![]]);
        let cycles: Vec<&[usize]> = order.cycles.iter().map(|cycle| cycle.members.as_slice()).collect();
        assert_eq!(cycles, [&[0, 1, 2][..], &[4]]);
        assert_eq!(order.cycles[0].show(|at| ["a", "b", "c"][at]), "a -> b -> c -> a");
        assert_eq!(order.sorted, [5]);
    }

    #[test]
    fn long_chains_do_not_recurse() {
        let uses: Vec<Vec<usize>> =
            (0..200_000).map(|at| if at == 0 { vec![] } else { vec![at - 1] }).rev().collect();
        let uses: Vec<Vec<usize>> =
            uses.into_iter().map(|used| used.iter().map(|at| 199_999 - at).collect()).collect();
        assert_eq!(resolve(&uses).sorted.len(), 200_000);
    }
}
