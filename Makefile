# Verbs of the repository. `make` alone lists them.

SEEDS ?= 1000
# In `make test`, of the debug build.
TEST_SEEDS ?= 300
DRILLS ?= $(sort $(filter-out drills/soak-%,$(wildcard drills/*.yaml)))
# Such as --without-network, where no drill can have hosts of its own (no root, or no /dev/net/tun).
DRILL_OPTIONS ?=
TOPOLOGY ?= topology/local.yaml
ROUNDS ?= 20
# Of `make destinations`; the trials may be named behind the options.
DESTINATIONS ?= --kills 5 --rate 5000 --outage 60
EVENTS ?= 100000
# Which of the fuzz targets (`make fuzz-list`), and when each of them ends: after so many inputs, or seconds when given.
FUZZ ?= all
FUZZ_RUNS ?= 1000000
FUZZ_SECONDS ?=
MINUTES ?=
# What a soak is made of; whoever names minutes wants the drills alone.
PARTS ?= $(if $(MINUTES),drills,sanitize fuzz drills)
SOAK_TOPOLOGY ?= topology/soak.yaml
SOAK_DRILLS ?= $(wildcard drills/soak-*.yaml)
TIMED := scripts/timed.sh
# Debian's own, for which the packages are installed: the first one on the PATH may be another.
PYTHON ?= /usr/bin/python3
ROLLCALL := .build/release/rollcall
FORMATTED := Package.swift Sources Tests $(wildcard Benchmarks/Package.swift Benchmarks/Sources) \
	$(wildcard Fuzz/Package.swift Fuzz/Sources/Fuzz) \
	$(wildcard Examples/*/Package.swift Examples/*/Sources)

.DEFAULT_GOAL := help
.PHONY: help run build test lint format sim model drill resume destinations wire-versions bench bench-sip bench-ws bench-kafka \
	bench-plugins bench-failover fuzz fuzz-list fuzz-keep sanitize soak docs deb clean dependencies \
	test-dependencies bench-dependencies deb-dependencies

help: ## lists the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-13s %s\n", $$1, $$2 }'

run: build ## builds, then runs the cluster of topology/local.yaml until Ctrl-C
	@exec $(ROLLCALL) up $(TOPOLOGY)

build: dependencies ## builds .build/release/rollcall
	swift build -c release --product rollcall

test: test-dependencies ## runs everything that .ci/run runs: lint, model, simulator, short drills, phones, subscribers, all tests
	@$(TIMED) lint $(MAKE) --no-print-directory lint
	@$(TIMED) vectors $(PYTHON) -B Tests/vectors/frame.py
	@$(TIMED) model timeout -k 10 600 Model/check.sh
	@$(TIMED) build swift build --build-tests
	@$(TIMED) sim .build/debug/rollcall sim --seed 1 --seeds $(TEST_SEEDS)
	@scripts/kafka-environment.sh >/dev/null
	@$(TIMED) drills timeout -k 20 300 .build/debug/rollcall drills $(DRILL_OPTIONS) $(wildcard drills/short-*.yaml)
	@$(TIMED) phones timeout -k 10 120 scripts/test-phones.sh .build/debug/rollcall
	@$(TIMED) consumers timeout -k 10 180 scripts/test-consumers.sh .build/debug/rollcall
	@$(TIMED) soak timeout -k 10 180 .build/debug/rollcall soak $(SOAK_TOPOLOGY) $(SOAK_DRILLS) --seed 1 --rounds 2
	@$(TIMED) plugins timeout -k 10 240 scripts/test-plugins.sh .build/debug/rollcall
	@$(TIMED) websockets timeout -k 10 120 scripts/test-websockets.sh .build/debug/rollcall
	@$(TIMED) subscribers timeout -k 10 420 scripts/test-subscribers.sh .build/debug/rollcall isolation resume 2 slow-readers
	@$(TIMED) destinations timeout -k 10 300 scripts/test-destinations.sh .build/debug/rollcall kills outage overflow gone faults secure
	@# One after the other: on few cores the simulator's histories would starve what waits for sockets.
	@$(TIMED) test swift test --skip-build --no-parallel

lint: ## checks the layout of the Swift files
	swift format lint --strict --parallel --recursive $(FORMATTED)

format: ## lays out the Swift files
	swift format format --in-place --parallel --recursive $(FORMATTED)

sim: build ## runs the simulator: SEEDS=1000
	$(ROLLCALL) sim --seeds $(SEEDS)

model: test-dependencies ## has spin check the model of a domain: every promise, and that its mutants break one
	Model/check.sh

drill: build test-dependencies ## runs the drills against real processes: DRILLS=drills/kill-owner.yaml
	@scripts/kafka-environment.sh >/dev/null
	$(ROLLCALL) drills $(DRILL_OPTIONS) $(DRILLS)

resume: build test-dependencies ## cuts followers while owners are killed: ROUNDS=20
	scripts/test-subscribers.sh $(ROLLCALL) resume $(ROUNDS)

destinations: build test-dependencies ## long outages and kills with Kafka and a webhook: DESTINATIONS="--outage 60 kills outage"
	scripts/test-destinations.sh $(ROLLCALL) $(DESTINATIONS)

wire-versions: build test-dependencies ## moves a cluster under load from the wire version before to this one and back
	scripts/test-wire-versions.sh $(ROLLCALL)

bench: dependencies ## runs the benchmarks
	swift run -c release --package-path Benchmarks $(BENCH)

bench-sip: build bench-dependencies ## measures SIP registration beside Kamailio: SIP_BENCH="--rounds 5"
	scripts/bench-sip.sh $(ROLLCALL) $(SIP_BENCH)

bench-ws: build bench-dependencies ## measures websockets beside nginx with nchan: WS_BENCH="--rounds 5"
	scripts/bench-ws.sh $(ROLLCALL) $(WS_BENCH)

bench-plugins: build test-dependencies ## measures how fast a webhook gets what waited for it: EVENTS=100000
	scripts/test-plugins.sh $(ROLLCALL) --backlog $(EVENTS)

bench-kafka: build test-dependencies bench-dependencies ## measures what destinations cost an owner: KAFKA_BENCH="--rounds 5"
	scripts/bench-kafka.sh $(ROLLCALL) $(KAFKA_BENCH)

bench-failover: build bench-dependencies ## measures failovers, moves, drains, many domains: ROUNDS=20
	scripts/bench-failover.sh $(ROLLCALL) --rounds $(ROUNDS) $(FAILOVER_BENCH)

fuzz: dependencies ## feeds FUZZ_RUNS=1000000 inputs (or for FUZZ_SECONDS=60) to the targets FUZZ="sip frame", or to all
	scripts/fuzz.sh run "$(FUZZ)" "$(FUZZ_RUNS)" "$(FUZZ_SECONDS)"

fuzz-list: dependencies ## lists the fuzz targets
	@scripts/fuzz.sh list

fuzz-keep: dependencies ## minimises what `make fuzz` has found, and keeps it with the tests
	scripts/fuzz.sh keep "$(FUZZ)"

sanitize: test-dependencies ## runs the tests under the thread sanitizer, then under the address sanitizer
	scripts/sanitize.sh thread
	scripts/sanitize.sh address

soak: build test-dependencies ## sanitizers, fuzzers for 10 minutes each, an hour of drills; MINUTES=30: drills alone
	$(if $(filter sanitize,$(PARTS)),$(MAKE) --no-print-directory sanitize)
	$(if $(filter fuzz,$(PARTS)),$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=600)
	$(if $(filter drills,$(PARTS)),$(ROLLCALL) soak $(SOAK_TOPOLOGY) $(SOAK_DRILLS) --minutes $(or $(MINUTES),60))

docs: dependencies ## writes the reference of all targets to .build/docs, as pages for a web server
	scripts/make-docs.sh

deb: build deb-dependencies ## writes a Debian package to .build/deb
	scripts/make-deb.sh $(ROLLCALL)

clean: ## removes what was built; keeps topology/var
	rm -rf .build .build-address .build-thread Benchmarks/.build Fuzz/.build Examples/*/.build

dependencies:
	@scripts/install-dependencies.sh

test-dependencies:
	@scripts/install-dependencies.sh --test

bench-dependencies:
	@scripts/install-dependencies.sh --bench

deb-dependencies:
	@scripts/install-dependencies.sh --deb
