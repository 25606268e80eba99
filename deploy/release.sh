#!/usr/bin/env bash
# Builds what people install, into target/dist-VERSION:
#
#   deploy/release.sh                       archives, .deb, sdist, wheel, image, SBOM, sums
#   deploy/release.sh archive deb           some of them: archive, static, deb, sdist, wheel, image, sbom, sums
#   PROGRAM=FILE deploy/release.sh archive  with a program that is built already
#
# On Linux, archive and deb hold a program for glibc 2.28 and newer, the fastest; static and image one
# that needs no library (musl). What each needs: archive, deb, wheel: Python with venv (zig, maturin
# and cargo-zigbuild come from PyPI), and for deb dpkg-deb; static, image: rustup's target
# x86_64-unknown-linux-musl and musl-gcc (Debian: musl-tools), and for image buildah. On macOS and
# Windows the archive holds a program of the system's own kind. docs/book/install.md says what each
# file is for.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
out=$PWD/target/dist-$version
mkdir -p "$out"
# The time of the commit goes into files, so that the same sources give the same archives.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

case $(uname -s) in
    Linux) system=linux ;;
    Darwin) system=macos ;;
    *) system=windows ;;
esac
machine=$(uname -m)
name=budwood-$version-$machine-$system
# The oldest glibc that programs and wheels run on.
glibc=2.28
case $machine in
    x86_64) architecture=amd64 ;;
    aarch64 | arm64) architecture=arm64 ;;
    *) architecture=$machine ;;
esac

# The program, built once; its path is printed. On Linux: for glibc, or static.
program() {
    local built=dist/budwood
    if [ -n "${PROGRAM:-}" ]; then
        echo "$PROGRAM"
        return
    elif [ "$system" != linux ]; then
        cargo build --profile dist --locked >&2
        [ "$system" = windows ] && built+=.exe
    elif [ "$1" = static ]; then
        cargo build --profile dist --locked --target "$machine-unknown-linux-musl" >&2
        built=$machine-unknown-linux-musl/$built
    else
        PATH=$(tools):$PATH cargo zigbuild --profile dist --locked -p budwood-cli --target "$machine-unknown-linux-gnu.$glibc" >&2
        built=$machine-unknown-linux-gnu/$built
    fi
    echo "target/$built"
}

# Completions and manual pages in target/manual.
manual() {
    [ -d target/manual/man ] && [ target/manual/man -nt Cargo.lock ] && return
    cargo run --quiet --locked -p budwood-manual -- target/manual
}

# Files of one folder, by name and time, as nobody's.
archive_of() {
    tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$1" -cf - "$2" | gzip -n9
}

# An archive of a program with what belongs to it: its name, and which program.
pack() {
    local name=$1 place suffix=
    manual
    place=$(mktemp -d)
    mkdir "$place/$name"
    [ "$system" = windows ] && suffix=.exe
    install -m 755 "$(program "$2")" "$place/$name/budwood$suffix"
    cp LICENSE-MIT LICENSE-APACHE README.md CHANGELOG.md "$place/$name/"
    cp -r target/manual/completions target/manual/man "$place/$name/"
    case $system in
        linux) archive_of "$place" "$name" > "$out/$name.tar.gz" ;;
        # Neither has GNU's tar.
        *) tar -C "$place" -czf "$out/$name.tar.gz" "$name" ;;
    esac
    rm -r "$place"
}

archive() {
    pack "$name" glibc
}

static() {
    pack "$name-static" static
}

deb() {
    manual
    local place
    place=$(mktemp -d)
    chmod 755 "$place"
    install -Dm755 "$(program glibc)" "$place/usr/bin/budwood"
    install -Dm644 target/manual/completions/budwood.bash "$place/usr/share/bash-completion/completions/budwood"
    install -Dm644 target/manual/completions/_budwood "$place/usr/share/zsh/vendor-completions/_budwood"
    install -Dm644 target/manual/completions/budwood.fish "$place/usr/share/fish/vendor_completions.d/budwood.fish"
    install -d "$place/usr/share/man/man1"
    cp target/manual/man/*.1 "$place/usr/share/man/man1/"
    gzip -n9 "$place"/usr/share/man/man1/*.1
    install -d "$place/usr/share/doc/budwood"
    { cat LICENSE-MIT; echo; cat LICENSE-APACHE; } > "$place/usr/share/doc/budwood/copyright"
    gzip -n9 < CHANGELOG.md > "$place/usr/share/doc/budwood/changelog.gz"
    find "$place/usr" -type d -exec chmod 755 {} +
    find "$place/usr/share" -type f -exec chmod 644 {} +
    install -d "$place/DEBIAN"
    cat > "$place/DEBIAN/control" <<END
Package: budwood
Version: $version
Architecture: $architecture
Maintainer: The Budwood project <budwood@localhost>
Installed-Size: $(du -sk "$place/usr" | cut -f1)
Section: science
Priority: optional
Depends: libc6 (>= $glibc)
Suggests: ca-certificates
Description: small task adapters on one frozen model
 Trains, compares, shares and serves small adapters on one frozen encoder, for
 texts and images. One program: no Python, no GPU.
END
    dpkg-deb --root-owner-group --build "$place" "$out/budwood_${version}_$architecture.deb" > /dev/null
    rm -r "$place"
}

# The folder of the programs that build wheels, in an environment of their own.
tools() {
    local place=target/tools/wheels programs
    programs=$PWD/$place/bin
    [ "$system" = windows ] && programs=$PWD/$place/Scripts
    if [ ! -x "$programs/cargo-zigbuild" ] && [ ! -x "$programs/cargo-zigbuild.exe" ]; then
        python3 -m venv "$place"
        "$programs/python" -m pip install -q maturin==1.16.0 cargo-zigbuild==0.23.4 ziglang==0.17.1 auditwheel==6.8.2
    fi
    echo "$programs"
}

sdist() {
    PATH=$(tools):$PATH
    maturin sdist --out "$out"
}

wheel() {
    PATH=$(tools):$PATH
    if [ "$system" = linux ]; then
        # Zig's linker has the symbols of every glibc: the wheel runs on an old one whatever this machine has.
        maturin build --profile dist --locked --zig --compatibility manylinux_${glibc/./_} --out "$out"
        auditwheel show "$out"/budwood-"$version"-*"$machine".whl
    else
        maturin build --profile dist --locked --out "$out"
    fi
}

# An image of the program alone: nobody's process, certificates of its own, no shell.
image() {
    local container place
    place=$(mktemp -d)
    install -Dm755 "$(program static)" "$place/budwood"
    # A user of a container has neither a home nor a place for large requests.
    install -dm1777 "$place/tmp"
    container=$(buildah from scratch)
    buildah copy --quiet "$container" "$place" / > /dev/null
    buildah config --user 65532:65532 --port 8080 --stop-signal SIGTERM --env HOME=/tmp \
        --entrypoint '["/budwood"]' --cmd '["--help"]' --label "org.opencontainers.image.version=$version" "$container"
    rm -f "$out/budwood-$version-image.tar"
    buildah commit --quiet --rm --timestamp "$SOURCE_DATE_EPOCH" "$container" "oci-archive:$out/budwood-$version-image.tar:budwood:$version" > /dev/null
    rm -r "$place"
}

sbom() {
    local target=
    [ "$system" = linux ] && target=$machine-unknown-linux-gnu
    python3 deploy/sbom.py "$target" > "$out/budwood-$version.cdx.json"
}

sums() {
    (cd "$out" && rm -f SHA256SUMS && sha256sum -- * > SHA256SUMS)
}

if [ $# = 0 ]; then
    case $system in
        linux) set -- archive static deb sdist wheel image sbom sums ;;
        *) set -- archive wheel sums ;;
    esac
fi
for part in "$@"; do
    case $part in
        archive | static | deb | sdist | wheel | image | sbom | sums) "$part" ;;
        *)
            echo "deploy/release.sh: '$part' is none of archive, static, deb, sdist, wheel, image, sbom, sums" >&2
            exit 2
            ;;
    esac
done
ls -l "$out"
