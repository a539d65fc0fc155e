# Every verb is one line of cargo; this file is for the hand and for CI.
#   make local             no AWS, no Docker: the API on this machine
#   make deploy STAGE=prod against AWS; ARGS="--yes" and other flags go through

# Settings of yours: see .env.template. xtask reads them; what is set outside or on the command line counts more.

.DEFAULT_GOAL := help
.PHONY: help local package plan deploy destroy smoke-test test-like-aws rollback releases verify status logs outputs \
	doctor load graph test faults bench deny lint fmt clean tf-backend init ssm-put

help: ## show this
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

local: ## package, start the local cloud, deploy to it, smoke-test it, print how to call it
	cargo xtask deploy --local --yes
	cargo xtask smoke-test --local --quiet
	cargo xtask outputs --local --quiet

package: ## build the functions and zip them
	cargo xtask package

plan: ## show what a deploy would change; never writes
	cargo xtask plan $(ARGS)

deploy: ## plan, ask, apply
	cargo xtask deploy $(ARGS)

destroy: ## delete everything of the stage
	cargo xtask destroy $(ARGS)

smoke-test: ## call every endpoint of the stage
	cargo xtask smoke-test $(ARGS)

rollback: ## put an earlier release back (ARGS="--to 7")
	cargo xtask rollback $(ARGS)

releases: ## which releases can be gone back to
	cargo xtask releases $(ARGS)

verify: ## rebuild the commit that is deployed, and compare it with what serves
	cargo xtask verify $(ARGS)

status: ## what is live, since when, drifted or not
	cargo xtask status $(ARGS)

logs: ## what was logged, merged (ARGS="-f --errors")
	cargo xtask logs $(ARGS)

outputs: ## URL and names
	cargo xtask outputs $(ARGS)

doctor: ## what a deploy would lack, with the remedy
	cargo xtask doctor $(ARGS)

load: ## many callers at once, each of whom must be answered right (ARGS="--local")
	cargo xtask load $(ARGS)

graph: ## the stack as a Mermaid diagram
	@cargo xtask graph

test: lint ## everything a push checks: format, lints, all tests, the local cloud end to end
	cargo xtask package
	RUST_TEST_THREADS=8 cargo test --workspace
	RUST_TEST_THREADS=8 CLOUD_LIKE=aws cargo test --workspace --test cloud -- $(LIKE_AWS)

# What is run a second time with all that AWS does all the time; at night everything is. Eight threads: tests of
# the cloud mostly wait for it.
LIKE_AWS = life:: release:: returns:: destroy:: foreign::

test-like-aws: ## the local cloud end to end, with all that AWS does all the time
	CLOUD_LIKE=aws cargo test --workspace --test cloud -- --skip faults::

faults: ## break the deployer's requests in turn, and show what became of it
	cargo xtask faults $(ARGS)

bench: ## measure functions and deploys, for docs/PERFORMANCE.md
	cargo xtask bench $(ARGS)

deny: ## dependencies: weaknesses, licences, origins (needs cargo install --locked cargo-deny)
	cargo deny --locked check

lint: ## format check, and clippy with warnings denied
	cargo fmt --check
	cargo clippy --workspace --all-targets -- --deny warnings

fmt: ## format the code
	cargo fmt

clean: ## stop the local cloud, remove everything built (a stage in AWS: make destroy)
	cargo xtask local down
	cargo clean
	rm -rf target

tf-backend: ## unnecessary: there is no state to keep; AWS itself is asked what is there
init: ## unnecessary: cargo fetches what it needs
ssm-put: ## unnecessary: a deploy writes version and commit to SSM when they are live

tf-backend init ssm-put:
	@grep '^$@: ##' Makefile | sed 's/.*## /$@ is /'
