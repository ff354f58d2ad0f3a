#!/bin/bash
# Runs the fuzz targets under libFuzzer, one after the other; an input that breaks one stays in Fuzz/.build.
# usage: scripts/fuzz.sh list
#        scripts/fuzz.sh run  "TARGET…" or all  RUNS [SECONDS]   ends each after so many inputs, or seconds when given
#        scripts/fuzz.sh keep "TARGET…" or all                   minimises what was found into Tests/FuzzTests/Corpus
set -euo pipefail
cd "$(dirname "$0")/.."
verb=$1 targets=${2:-all}
built=Fuzz/.build
# An input may take so much memory (MiB) and so long (seconds) before it counts as broken.
limits=(-rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=5)

swift build -c release --package-path Fuzz --product Fuzz >&2
fuzz=$PWD/$built/release/Fuzz
[ "$verb" != list ] || exec "$fuzz" list
[ "$targets" != all ] || targets=$("$fuzz" list)
# What the backtracer prints of a trap is no more than libFuzzer does, and takes seconds.
export SWIFT_BACKTRACE=enable=no

begin() {
  rm -rf "$built/begin/$1"
  mkdir -p "$built/corpus/$1" "$built/begin"
  "$fuzz" begin "$1" "$built/begin/$1"
}

code=0
for target in $targets; do
  begin "$target"
  case $verb in
    run)
      end=(-runs="${3:-1000000}")
      [ -z "${4:-}" ] || end=(-max_total_time="$4")
      echo "== fuzz $target"
      log=$built/$target.log
      # Targets that read no text have no words.
      words=()
      [ ! -s "$built/begin/$target.words" ] || words=(-dict="$built/begin/$target.words")
      # Says the figures alone; the log has all of it.
      if "$fuzz" run "$target" "${end[@]}" "${limits[@]}" -print_final_stats=1 -artifact_prefix="$built/$target-" \
        "${words[@]}" "$built/corpus/$target" "$built/begin/$target" >"$log" 2>&1
      then grep -E '^stat::(number_of_executed_units|average_exec_per_sec|new_units_added|peak_rss_mb)' "$log" | tr '\n' ' '
      else
        code=1
        grep -E 'Fatal error|ERROR|SUMMARY|Test unit written|ALARM' "$log" || tail -5 "$log"
      fi
      echo ;;
    keep)
      rm -rf "$built/merged"
      mkdir -p "$built/merged"
      "$fuzz" run "$target" "${limits[@]}" -merge=1 "$built/merged" "$built/begin/$target" "$built/corpus/$target" \
        >"$built/$target.log" 2>&1
      "$fuzz" keep "$target" "$built/merged" ;;
  esac
done
exit $code
