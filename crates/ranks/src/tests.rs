use std::thread;

use super::*;

/// What each of so many ranks does, by rank.
fn on_ranks<R: Send>(size: usize, work: impl Fn(Ranks) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let all = Ranks::simulated(size).into_iter().map(|ranks| scope.spawn(move || work(ranks)));
        let all: Vec<_> = all.collect();
        all.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

fn add(total: &mut [f32], piece: &[f32]) {
    total.iter_mut().zip(piece).for_each(|(t, x)| *t += x);
}

/// Numbers whose sum depends on its order.
fn piece(i: usize, length: usize) -> Vec<f32> {
    let number = |j: usize| match (i + j) % 3 {
        0 => 1e8 / (i + 1) as f32,
        1 => -1e8 + (i * j) as f32,
        _ => 1.0 / (i + j) as f32,
    };
    (0..length).map(number).collect()
}

#[test]
fn shares_are_neighbours_and_all_pieces() {
    for size in 1..6 {
        for n in [0, 1, 2, 5, 16, 17] {
            let shares = on_ranks(size, |ranks| ranks.share(n));
            let pieces: Vec<usize> = shares.iter().cloned().flatten().collect();
            assert_eq!(pieces, (0..n).collect::<Vec<_>>(), "{n} over {size}");
            let lengths = shares.iter().map(ExactSizeIterator::len);
            assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1);
        }
    }
}

/// On any number of ranks the sum is that of a loop over all pieces, to the bit.
#[test]
fn sums_do_not_depend_on_the_number_of_ranks() {
    for (n, length) in [(11, 3), (4, SEGMENT + 7), (2, 2 * SEGMENT), (1, 5), (0, 4)] {
        let mut expected = vec![0.0; length];
        (0..n).for_each(|i| add(&mut expected, &piece(i, length)));
        for size in 1..6 {
            let sums = on_ranks(size, |ranks| {
                let own: Vec<_> = ranks.share(n).map(|i| piece(i, length)).collect();
                let mut total = vec![0.0; length];
                match ranks.is_first() {
                    true => {
                        own.iter().for_each(|piece| add(&mut total, piece));
                        ranks.sum(&mut total, &[], add);
                    }
                    false => ranks.sum(&mut total, &own, add),
                }
                (total, ranks.received())
            });
            let bytes: u64 = sums.iter().map(|(_, received)| received).sum();
            assert_eq!(bytes, 2 * (size as u64 - 1) * 4 * length as u64);
            for (sum, _) in sums {
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&sum), bits(&expected), "{n} pieces over {size} ranks");
            }
        }
    }
}

#[test]
fn what_ranks_give_comes_in_their_order() {
    for all in on_ranks(4, |ranks| ranks.exchange(&vec![7; ranks.rank()])) {
        assert_eq!(all.unwrap(), [vec![], vec![7], vec![7; 2], vec![7; 3]]);
    }
    let odd = [1.5, f32::NAN, -0.0, f32::MIN_POSITIVE];
    let given = on_ranks(3, |ranks| {
        let own = |i: usize| odd[..i].to_vec();
        ranks.rows(ranks.share(5).map(own).collect()).unwrap()
    });
    for rows in given {
        let bits = |x: &f32| x.to_bits();
        let expected: Vec<Vec<u32>> = (0..5).map(|i| odd[..i].iter().map(bits).collect()).collect();
        let rows: Vec<Vec<u32>> = rows.iter().map(|row| row.iter().map(bits).collect()).collect();
        assert_eq!(rows, expected);
    }
    for said in on_ranks(3, |ranks| {
        let first = ranks.first_says(|| Ok::<_, Failed>(vec![ranks.rank() as u8, 9]))?;
        Ok::<_, Failed>((first, ranks.any(ranks.rank() == 2)?, ranks.any(false)?))
    }) {
        assert_eq!(said.unwrap(), (vec![0, 9], true, false));
    }
}

/// One that fails is heard of by those that wait in any exchange, and nobody waits for ever.
#[test]
fn a_failure_reaches_all() {
    for bad in 0..3 {
        let ended = on_ranks(3, |ranks| {
            let work = || -> Result<(), String> {
                ranks.any(false).map_err(|e| e.to_string())?;
                if ranks.rank() == bad {
                    return Err("the disk is full".into());
                }
                ranks.rows(vec![vec![1.0]]).map_err(|e| e.to_string())?;
                Ok(())
            };
            let failed = work().err();
            (failed.clone(), ranks.end(failed.as_deref()))
        });
        let failed = Failed { rank: bad, size: 3, message: "the disk is full".into() };
        for (rank, (own, end)) in ended.into_iter().enumerate() {
            assert_eq!(end.as_ref(), Some(&failed));
            let heard = if rank == bad { failed.message.clone() } else { failed.to_string() };
            assert_eq!(own, Some(heard));
        }
    }
    // Of several that fail together the first is heard of.
    for end in on_ranks(3, |ranks| ranks.end((ranks.rank() > 0).then_some("no"))) {
        assert_eq!(end.unwrap().rank, 1);
    }
    for end in on_ranks(3, |ranks| ranks.end(None)) {
        assert_eq!(end, None);
    }
}

#[test]
fn ranks_that_differ_are_refused_by_what_they_differ_in() {
    for found in on_ranks(3, |ranks| {
        let processor = if ranks.rank() == 2 { "cpu/avx2" } else { "cpu/avx512" };
        let same = ranks.same("processor", processor.as_bytes());
        assert_eq!(same.clone().err(), ranks.end(None));
        same
    }) {
        let message = found.unwrap_err().to_string();
        assert_eq!(
            message,
            "rank 2 of 3: has another processor than rank 0: cpu/avx2, not cpu/avx512"
        );
    }
}

#[test]
fn one_alone_needs_nobody() {
    let alone = Ranks::default();
    assert!(alone.is_alone() && alone.is_first() && alone == Ranks::default());
    assert_eq!(alone.exchange(&[1]).unwrap(), [[1]]);
    assert_eq!(alone.share(7), 0..7);
    assert!(alone.any(true).unwrap() && !alone.any(false).unwrap());
    let mut total = [1.0, 2.0];
    alone.sum(&mut total, &[], add);
    assert_eq!((total, alone.received()), ([1.0, 2.0], 0));
    assert_eq!(alone.end(Some("no")), None);
    assert!(Ranks::simulated(1)[0].is_alone());
}
