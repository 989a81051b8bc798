# `make` without a target prints the targets.

.DEFAULT_GOAL := help

# scripts/go-flags.sh explains the flags of every build and test.
export CGO_ENABLED := 0
export GOFLAGS := $(shell . scripts/go-flags.sh; echo "$$GOFLAGS")
# The environment must not exclude an engine from the tests.
unexport TEST_ENGINES

# -ldflags changes only what is linked, not what is compiled. -s leaves out symbols and debug information.
LDFLAGS = $(if $(DEBUG),,-s )-X main.version=$(VERSION)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO_FILES = $(shell git ls-files -co --exclude-standard '*.go' ':!:*.gen.go')
GO_TEST = go test -timeout 20m

.PHONY: help
help: ## print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build, create missing data, and serve on http://localhost:8080
	bin/accountsd serve

.PHONY: demo
demo: ## show the life of a session in each transport, on a temporary server
	@scripts/run.sh demo

.PHONY: web
web: ## build the front ends at /demo/ and /console/ from TypeScript (needs Node)
	cd api/typescript && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	scripts/build-web.sh

.PHONY: build
build: ## build bin/accountsd (DEBUG=1 keeps symbols for a debugger)
	@echo 'building bin/accountsd (the first build takes a minute or two) …' >&2
	go build -ldflags '$(LDFLAGS)' -o bin/accountsd ./server/cmd/accountsd

.PHONY: sbom
sbom: build ## write bin/accountsd.cdx.json, the bill of materials of bin/accountsd (CycloneDX)
	scripts/sbom.sh bin/accountsd $(VERSION) >bin/accountsd.cdx.json

.PHONY: generate
generate: ## regenerate api/ from openapi.yaml (the TypeScript needs Node)
	@echo 'building oapi-codegen (the first build takes a minute) …' >&2
	go generate ./api
	@if command -v npm >/dev/null; then cd api/typescript && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm run --silent generate >/dev/null; \
	else echo 'no npm: api/typescript/src/schema.ts stays as it is'; fi

.PHONY: guides
guides: ## regenerate the guides to settings and errors, and the messages of the front ends, from the source
	go test ./server/cmd/accountsd -run 'SettingsGuide' -update
	TEST_ENGINES=sqlite go test ./server -run 'ErrorsGuide|WebMessages' -update

.PHONY: recipe
recipe: ## apply the guides "Add a field to the user" and "Add an endpoint" to copies and run tests there
	scripts/run.sh recipe server/web/docs/guides/add-a-field.md server/web/docs/guides/add-an-endpoint.md

.PHONY: contract-diff
contract-diff: ## describe how openapi.yaml differs from the released contract
	@scripts/contract.sh diff

.PHONY: contract-release
contract-release: ## make openapi.yaml the released contract; api/CHANGELOG.md must have its entry
	@scripts/contract.sh release

.PHONY: test
test: ## run go vet and all tests on SQLite and a real MariaDB
	@echo 'building all packages and their tests (the first build takes minutes) …' >&2
	go vet ./...
	scripts/with-mysql.sh --fast -- $(GO_TEST) ./...

.PHONY: test-mysql97
test-mysql97: ## run all tests with Oracle MySQL 9.7 instead of MariaDB (Debian)
	scripts/with-mysql.sh --fast --mysql97 -- $(GO_TEST) ./...

.PHONY: test-galera
test-galera: ## run all tests on three MariaDB Galera nodes, and kill nodes (Debian)
	scripts/with-galera.sh -- go test -timeout 20m -p 1 ./... # three servers, and each commit waits for all

.PHONY: verify
verify: ## run all other checks: race detector, linters, contract, TypeScript, browser, README
	@scripts/verify.sh

.PHONY: controls
controls: ## run the tests of the security controls and print the evidence for each control
	scripts/with-mysql.sh --fast -- scripts/run.sh controls

.PHONY: bench
bench: ## measure refresh, profile and login against minimal baselines, on a durable MariaDB
	scripts/with-mysql.sh --durable -- scripts/run.sh bench

.PHONY: bench-compare
bench-compare: ## measure the server against that of another revision, REV=…, in turns
	scripts/with-mysql.sh --durable -- scripts/run.sh bench -compare "$(or $(REV),HEAD)"

.PHONY: profile
profile: ## write profiles of CPU and allocations under the load of the benchmark to .cache/profile
	scripts/with-mysql.sh --durable -- scripts/run.sh bench -profile .cache/profile

.PHONY: capacity
capacity: ## measure storage, refreshes and cost with up to a million sessions, on MariaDB and SQLite
	WITH_MYSQL_ARGS=--innodb-buffer-pool-size=1G scripts/with-mysql.sh --durable -- scripts/run.sh bench -capacity 10000,100000,1000000
	scripts/run.sh bench -engine sqlite -capacity 10000,100000,1000000

.PHONY: model
model: ## check the refresh protocol exhaustively with spin, including the long cases (10 minutes)
	scripts/model/check.sh --all

.PHONY: timing
timing: ## measure whether response times reveal if an address is known
	scripts/with-mysql.sh --fast -- scripts/run.sh timing

.PHONY: storm
storm: ## run 1,000 parallel logins for a minute; report memory, rejections and the effect on other clients
	scripts/run.sh storm

TORTURE_OPTIONS = -engine $(or $(ENGINE),sqlite) $(if $(SEED),-seed $(SEED))
TORTURE_ON = $(if $(filter mysql,$(ENGINE)),MYSQLD=$$(scripts/get-mysql97.sh)) $(if $(filter galera,$(ENGINE)),scripts/with-galera.sh --)

.PHONY: torture
torture: ## kill, disconnect and mislead servers for MINUTES=1 and check what clients saw (ENGINE=mariadb, SEED=…)
	$(TORTURE_ON) scripts/run.sh torture $(TORTURE_OPTIONS) -minutes $(or $(MINUTES),1)

.PHONY: torture-broken
torture-broken: ## run the torture test on deliberately broken servers, and require that each is caught (6 minutes)
	scripts/run.sh torture -broken all

.PHONY: torture-race
torture-race: ## refresh with one token from a hundred clients at once, ROUNDS=10000 times (ENGINE=mariadb)
	$(TORTURE_ON) scripts/run.sh torture $(TORTURE_OPTIONS) -race $(or $(ROUNDS),10000)

.PHONY: browser-proof
browser-proof: build ## test eight tabs, restarts and token theft in a real browser, on http and https (RUNS=1, LIVES=8)
	@test -d api/typescript/node_modules || npm --prefix api/typescript ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@test -d scripts/node_modules || npm --prefix scripts ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@node scripts/browser/client.mjs --proof

.PHONY: client-package
client-package: ## build bin/accounts-client-VERSION.tgz, the TypeScript client for npm install (needs Node)
	@scripts/client-package.sh

.PHONY: generators
generators: ## compile the clients of all common generators in strict mode (minutes; npm and Go modules)
	@scripts/generators.sh

.PHONY: fuzz
fuzz: ## send N=100000 random requests built from the contract (SEED=…, ENGINE=mysql)
	$(if $(filter mysql,$(ENGINE)),scripts/with-mysql.sh --fast --) scripts/run.sh fuzz -n $(or $(N),100000) $(if $(SEED),-seed $(SEED)) -engine $(or $(ENGINE),sqlite)

.PHONY: fuzz-native
fuzz-native: ## fuzz each parser for TIME=60s
	@set -e; for file in $$(git ls-files -co --exclude-standard '*_test.go' | xargs grep -l '^func Fuzz'); do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' $$file); do echo "$$target"; \
	    go test ./$$(dirname $$file) -run='^$$' -fuzz="^$$target$$" -fuzztime=$(or $(TIME),60s); \
	  done; done

.PHONY: lint
lint: ## run golangci-lint only (built on first use)
	@scripts/verify.sh lint

.PHONY: fmt
fmt: ## format the Go code
	gofmt -l -w $(GO_FILES)

.PHONY: clean
clean: ## remove build output and downloads; data/ is kept
	rm -rf bin .cache scripts/node_modules
