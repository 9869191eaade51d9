#!/bin/sh
# Builds liblatent for this machine and installs it: install.sh PREFIX, such as /usr/local. DESTDIR is put before the prefix,
# as packages want it. Needs cargo.
set -eu
if [ $# -ne 1 ]; then
    echo "usage: install.sh PREFIX (an absolute path)" >&2
    exit 2
fi
case $1 in
/*) prefix=$1 ;;
*) echo "install.sh: the prefix $1 is no absolute path" >&2 && exit 2 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$here/../../Cargo.toml")
interface=${version%.*}
(cd "$here" && cargo build --quiet --profile c --package latent-c)

to=${DESTDIR:-}$prefix
mkdir -p "$to/include" "$to/lib/pkgconfig" "$to/lib/cmake/latent"
cp "$here/include/latent.h" "$to/include/"
cp "$target/c/liblatent.a" "$to/lib/"
if [ -e "$target/c/liblatent.dylib" ]; then
    cp "$target/c/liblatent.dylib" "$to/lib/"
else
    cp "$target/c/liblatent.so" "$to/lib/liblatent.so.$version"
    ln -sf "liblatent.so.$version" "$to/lib/liblatent.so.$interface"
    ln -sf "liblatent.so.$interface" "$to/lib/liblatent.so"
fi
for file in latent.pc latent-config.cmake latent-config-version.cmake; do
    case $file in
    *.pc) folder=$to/lib/pkgconfig ;;
    *) folder=$to/lib/cmake/latent ;;
    esac
    sed -e "s|@PREFIX@|$prefix|g" -e "s|@VERSION@|$version|g" "$here/package/$file.in" > "$folder/$file"
done
echo "liblatent $version is in $to"
