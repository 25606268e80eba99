use super::numbers;
use crate::Isa;
use crate::ops::halves::{narrow, places, widen};

/// The nearest of the two neighbours in bf16, in double precision; of two that are equally near the
/// one whose last bit is zero.
fn nearest(x: f32) -> f32 {
    let below = f32::from_bits(x.to_bits() & 0xffff_0000);
    let above = f32::from_bits((x.to_bits() & 0xffff_0000).wrapping_add(0x1_0000));
    let apart = |y: f32| (f64::from(y) - f64::from(x)).abs();
    let even = |y: f32| y.to_bits() & 0x1_0000 == 0;
    match apart(below).total_cmp(&apart(above)) {
        std::cmp::Ordering::Less => below,
        std::cmp::Ordering::Greater => above,
        std::cmp::Ordering::Equal => {
            if even(below) {
                below
            } else {
                above
            }
        }
    }
}

#[test]
fn numbers_rest_as_the_nearest_bf16() {
    let tie = |bits: u32| f32::from_bits(bits | 0x8000);
    for n in [0, 1, 2, 3, 16, 37, 128, 131] {
        let mut x = numbers(n, n as u64);
        for (x, special) in x.iter_mut().zip([tie(0x3f80_0000), tie(0x3f81_0000), -0.0, 1e-30]) {
            *x = special;
        }
        let expected: Vec<u32> = x.iter().map(|&x| nearest(x).to_bits()).collect();
        for isa in Isa::available() {
            let (mut y, mut back) = (vec![0.0; places(n)], vec![9.0; n]);
            narrow(isa, &x, &mut y);
            widen(isa, &y, &mut back);
            let back: Vec<u32> = back.into_iter().map(f32::to_bits).collect();
            assert_eq!(back, expected, "{} {n}", isa.name());
        }
    }
}

#[test]
fn what_is_no_number_stays_so() {
    // The last of these becomes zero where its bits are rounded like those of a number.
    let no_numbers = [f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0x7fff_ffff)];
    let x = [no_numbers, [f32::INFINITY, f32::NEG_INFINITY, f32::MAX]].concat();
    for isa in Isa::available() {
        let (mut y, mut back) = ([0.0; 3], [0.0; 6]);
        narrow(isa, &x, &mut y);
        widen(isa, &y, &mut back);
        assert!(back[..3].iter().all(|x| x.is_nan()), "{back:?}");
        assert_eq!(back[3..], [f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY]);
    }
}
