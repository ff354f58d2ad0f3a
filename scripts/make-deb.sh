#!/bin/bash
# Writes a Debian package of a built binary to .build/deb: the program with Swift's libraries beside it, so that the
# machine it is installed on needs no Swift, units for systemd, topologies, documents.
#
#   scripts/make-deb.sh .build/release/rollcall
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${1:?usage: scripts/make-deb.sh BINARY}
[ -x "$binary" ] || { echo "$binary is no program; \`make build\` makes it" >&2; exit 1; }
for tool in patchelf dpkg-shlibdeps dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: scripts/install-dependencies.sh --deb" >&2; exit 1; }
done

version=$("$binary" --version)
architecture=$(dpkg --print-architecture)
work=.build/deb
root=$work/rollcall
rm -rf "$work"
mkdir -p "$work/debian" "$root/DEBIAN" "$root"/usr/{bin,lib/rollcall,lib/sysusers.d,lib/systemd/system} \
    "$root"/usr/share/{doc/rollcall,bash-completion/completions,zsh/vendor-completions} "$root/etc/rollcall"

# MARK: the program and Swift's libraries

libraries=$root/usr/lib/rollcall
cp "$binary" "$libraries/rollcall"
ldd "$binary" | awk '$3 ~ /\/usr\/lib\/swift\/linux\// { print $3 }' | xargs -I{} cp {} "$libraries/"
chmod 644 "$libraries"/*.so
strip --strip-unneeded "$libraries/rollcall" "$libraries"/*.so
for file in "$libraries"/*; do
    patchelf --set-rpath '$ORIGIN' "$file"
done
ln -s ../lib/rollcall/rollcall "$root/usr/bin/rollcall"

# MARK: what stands around it

install -m 644 packaging/*.service packaging/*.target "$root/usr/lib/systemd/system/"
install -m 644 packaging/sysusers.conf "$root/usr/lib/sysusers.d/rollcall.conf"
# Topologies say `var/…` beside themselves; the package has that where state belongs.
ln -s /var/lib/rollcall "$root/etc/rollcall/var"
documents=$root/usr/share/doc/rollcall
cp -r docs/* topology drills Examples "$documents/"
rm -rf "$documents"/topology/var "$documents"/Examples/*/.build
# The pages stand beside topologies, drills and examples here, not in a folder of their own.
sed -i 's|(\.\./Examples/|(Examples/|g' "$documents"/*.md
sed -i 's|\.\./docs/|../|g' "$documents"/Examples/README.md "$documents"/Examples/*/README.md
gzip -9nc CHANGELOG.md >"$documents/changelog.gz"
{
    cat LICENSE
    printf '\nThe libraries of Swift in /usr/lib/rollcall: https://swift.org, Apache License 2.0 with Runtime Library Exception.\n'
} >"$documents/copyright"
find "$root/usr/share" -type f -exec chmod 644 {} +
"$binary" --generate-completion-script bash >"$root/usr/share/bash-completion/completions/rollcall"
"$binary" --generate-completion-script zsh >"$root/usr/share/zsh/vendor-completions/_rollcall"
install -m 755 packaging/postinst packaging/prerm packaging/postrm "$root/DEBIAN/"

# MARK: control

printf 'Source: rollcall\n\nPackage: rollcall\nArchitecture: any\nDescription: a registrar cluster\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O -lrollcall/usr/lib/rollcall --ignore-missing-info \
    rollcall/usr/lib/rollcall/rollcall $(ls rollcall/usr/lib/rollcall/*.so) 2>shlibdeps.log |
    sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || { cat "$work/shlibdeps.log" >&2; exit 1; }
cat >"$root/DEBIAN/control" <<CONTROL
Package: rollcall
Version: $version
Architecture: $architecture
Maintainer: The Rollcall authors <rollcall@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: $depends, systemd
Section: net
Priority: optional
Description: registrar cluster for SIP devices and websocket users
 Rollcall owns the list of who is registered where, for each domain of a communications
 platform, and tells everyone who follows, in order and without gaps, also when a node dies.
CONTROL
package=$work/rollcall_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$root" "$package" >/dev/null
rm -rf "$root" "$work/debian" "$work/shlibdeps.log"
echo "$package ($(du -h "$package" | cut -f1)). To install it:"
echo "    apt-get install ./$package"
