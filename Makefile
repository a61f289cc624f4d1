# make demo: install, then ask about the example. make test: what CI runs. Everything lands in .venv and out/.
.PHONY: demo test test-slow test-gpu lint bench clean train-mini train-mini-heat train-mini-head train-mini-people train-mini-kinds train-mini-words train-mini-yes
.DELETE_ON_ERROR:

UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
BIN := .venv/bin
# A Python that is not here would be fetched from outside the package index: say so instead.
export UV_PYTHON_DOWNLOADS := never

demo: .venv/.installed examples/plaza.mp4
	@echo '$$ tvad ask examples/plaza.mp4 "what is anomalous?" -o out/demo'
	@$(BIN)/tvad ask examples/plaza.mp4 "what is anomalous?" -o out/demo
	@echo
	@echo "The pictures are in out/demo: overlay.mp4 (heat, boxes, score), timeline.png, trajectory.png, events/."
	@echo 'Next: $(BIN)/tvad serve opens the page; $(BIN)/tvad chat examples/plaza.mp4; $(BIN)/tvad ask YOUR_VIDEO "what is anomalous?"'

# One thread: the tensors of tests are tiny, and threads that wait for each other cost minutes where the machine is busy.
# A process a core instead, at most four, since each holds torch.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -m "not slow and not gpu" -n auto --maxprocesses 4 --dist loadfile $(PYTEST_FLAGS)

test-slow: .venv/.installed-dev
	$(BIN)/pytest -q -m "slow and not gpu"

test-gpu: .venv/.installed-dev
	$(BIN)/pytest -q -m gpu

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

# The weights that come with the preset `mini`, made as they were made; with the clips of ../shared/data where these are. What
# was done is not done again, and a killed step goes on where it was; hours on two cores. PLAIN, CLIPS, HELD (clips), STEPS
# (of the decoder) and MINUTES (of the words) scale it. The shipped words differ in one thing: their settings changed on the
# way (tvad/adapters/mini/MODEL_CARD.md). The alarm levels that the last lines of train-mini-heat and train-mini-head print
# belong into tvad/presets/mini.py.
RUN := out/train-mini
PLAIN := 171
CLIPS := 443
HELD := 48
STEPS := 700
MINUTES := 196
FIGHTS := ../shared/data/fight_surv
FALLS := ../shared/data/gmdcsa24_fall
ORDINARY := $(wildcard ../shared/data/street/vtest.avi ../shared/data/street/people_intel.mp4 ../shared/data/street/road_bgs03.avi)
ROOMS := $(wildcard ../shared/data/gmdcsa24_fall/subject*/ADL/*.mp4)

# A step of training takes and gives back thousands of blocks: with jemalloc (Debian: libjemalloc2) training the language
# model took 0.6 of the time. It is used where it is. Blocks go back to the system after a while: without that a training
# took more than 20 GB in half an hour.
JEMALLOC := $(firstword $(wildcard /usr/lib/*/libjemalloc.so.2))
KEEP := dirty_decay_ms:8000,muzzy_decay_ms:8000,oversize_threshold:0
TRAIN := $(if $(JEMALLOC),LD_PRELOAD=$(JEMALLOC) MALLOC_CONF=$(KEEP) )$(BIN)/tvad train

train-mini: train-mini-flow train-mini-colours train-mini-people train-mini-heat train-mini-head train-mini-kinds train-mini-words train-mini-yes

train-mini-heat: .venv/.installed-train
	$(BIN)/python -m training.heatmap.features $(RUN)/heat --split train --synthetic $(PLAIN) --first 1000 --workers 2
	$(if $(ORDINARY),$(BIN)/python -m training.datasets.synthetic.assets ../shared/data $(RUN)/assets)
	$(BIN)/python -m training.heatmap.features $(RUN)/heat --split train --synthetic $(CLIPS) --first 2000 --workers 2 \
	  $(if $(ORDINARY),--assets $(RUN)/assets)
	$(BIN)/python -m training.heatmap.features $(RUN)/heat --split validation --synthetic $(HELD) --first 5000 --workers 2 \
	  $(if $(ORDINARY),--normal $(ORDINARY))
	$(TRAIN) heatmap --data $(RUN)/heat --out $(RUN)/decoder --steps $(STEPS) --clips 4 --runs 2 --look-lr 0.1 --every 140 \
	  --precision bf16
	$(BIN)/python -m training.ship decoder $(RUN)/decoder
	$(if $(ORDINARY),$(BIN)/python -m training.ordinary_levels $(ORDINARY) $(ROOMS) --decoder tvad/decoders/mini)

# Components of flow (tvad/temporal/flow_code.py), without labels, from all that weights may be shipped from.
train-mini-flow: .venv/.installed-train
	$(BIN)/python -m training.temporal.flow_code $(FIGHTS) ../shared/data/street $(FALLS) --out tvad/codes/mini/flow.safetensors

# What reads colours of moving things (tvad/colours.py), from drawn clips.
train-mini-colours: .venv/.installed-train
	$(BIN)/tvad synth $(RUN)/colours/a --count 110 --seed 91000 --seconds 5 --fps 6 --size 480x270 --split train
	$(BIN)/tvad synth $(RUN)/colours/b --count 70 --seed 92000 --seconds 5 --fps 6 --size 640x360 --split train
	$(BIN)/tvad synth $(RUN)/colours/c --count 120 --seed 93000 --seconds 4 --fps 5 --size 640x360 --split train
	$(BIN)/tvad synth $(RUN)/colours/d --count 60 --seed 96000 --seconds 4 --fps 5 --size 640x360 --split train --anomaly cycling
	$(BIN)/tvad synth $(RUN)/colours/v --count 32 --seed 82000 --seconds 6 --fps 8 --size 480x270 --split validation
	$(BIN)/python -m training.colours $(RUN)/colours/a $(RUN)/colours/b $(RUN)/colours/c $(RUN)/colours/d \
	  --held $(RUN)/colours/v --out tvad/codes/mini/colours.safetensors

# Who is in a frame (tvad/people.py), taught by a detector on the clips of ../shared/data; but the falls, which are for
# testing: the detector misses who lies there.
train-mini-people: .venv/.installed-train
	$(BIN)/python -m training.people.frames ../shared/data $(RUN)/people
	$(BIN)/python -m training.people.fit $(RUN)/people --without gmdcsa24_fall --out $(RUN)/finder
	$(BIN)/python -m training.ship people $(RUN)/finder
	$(BIN)/python -m training.people.evaluate_falls ../shared/data

HEAD := --columns 417:573 --project 64 --length 8 --steps 200 --normal 32 --anomalous 32 --lr 1e-4 --patience 0 --share 0 \
  --threads 1

# On the fight clips alone, so only where they are.
train-mini-head: .venv/.installed-train
	$(BIN)/tvad extract $(FIGHTS)/fight -o $(RUN)/fights/fighting -q
	$(BIN)/tvad extract $(FIGHTS)/noFight -o $(RUN)/fights/normal -q
	$(TRAIN) temporal --head mil_ranking --data $(RUN)/fights $(HEAD) --out $(RUN)/head
	$(BIN)/python -m training.ship head $(RUN)/head
	$(if $(ORDINARY),$(BIN)/python -m training.ordinary_levels $(ORDINARY) $(ROOMS) --head tvad/heads/mini)

# With falls, fire and streets beside the fights.
train-mini-kinds: .venv/.installed-train
	$(BIN)/tvad extract $(FIGHTS)/fight -o $(RUN)/kinds/fighting -q
	$(BIN)/tvad extract $(FIGHTS)/noFight $(ORDINARY) -o $(RUN)/kinds/normal -q
	$(BIN)/tvad extract ../shared/data/street/fire_house6.mp4 -o $(RUN)/kinds/fire -q
	for s in subject1 subject2; do $(BIN)/tvad extract $(FALLS)/$$s/Fall -o $(RUN)/kinds/falling/$$s -q && \
	  $(BIN)/tvad extract $(FALLS)/$$s/ADL -o $(RUN)/kinds/normal/$$s -q || exit 1; done
	$(BIN)/python -m training.temporal.kinds $(RUN)/kinds --out $(RUN)/named
	$(BIN)/python -m training.ship kinds $(RUN)/named

# Not trained on rendered clips (training.lvlm.rendered): what the detector finds in them is no better than chance so far.
train-mini-words: .venv/.installed-train
	$(TRAIN) lvlm --out $(RUN)/words --slices 5 --pictures 1 --mlp --batch 8 --lead 3 --stress 4 --lora-rate 1e-3 --warm-up 40 \
	  --minutes $(MINUTES)
	$(BIN)/python -m training.ship adapter $(RUN)/words
	$(BIN)/python -m training.lvlm.evaluate tvad/adapters/mini --simulated 64 --calibrate

# When a yes is due, on real clips; with heads, and names of kinds, that have not seen the fights they judge. After
# train-mini-kinds, whose features it reads.
train-mini-yes: .venv/.installed-train
	$(BIN)/tvad extract $(FIGHTS)/fight -o $(RUN)/fights/fighting -q
	$(BIN)/tvad extract $(FIGHTS)/noFight -o $(RUN)/fights/normal -q
	$(BIN)/python -m training.temporal.compare $(RUN)/fights mil_ranking --seeds 0 --folds 5 --blocks --out $(RUN)/folds -- $(HEAD)
	$(BIN)/python -m training.temporal.kinds $(RUN)/kinds --into $(RUN)/folds/mil_ranking/seed0 $(RUN)/fights
	$(BIN)/python -m training.calibrate_answers ../shared/data --folds $(RUN)/folds/mil_ranking/seed0 $(RUN)/fights --keep

clean:
	rm -rf out build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find heatmap tvad chat training tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

examples/plaza.mp4: | .venv/.installed
	$(BIN)/python examples/make_plaza.py

.venv/.installed: pyproject.toml | uv
	@$(UV) python find --system ">=3.11" >/dev/null 2>&1 || { \
	  echo "tvad needs Python 3.11 or newer on the PATH; found: $$(python3 --version 2>&1 || echo no python3)." >&2; \
	  echo "Install one (Debian, Ubuntu: apt-get install python3.11 python3.11-venv) and type make again." >&2; exit 1; }
	$(UV) sync --no-dev --inexact --extra ui
	@touch $@

.venv/.installed-dev: pyproject.toml | .venv/.installed
	$(UV) sync --inexact
	@touch $@

.venv/.installed-train: pyproject.toml | .venv/.installed
	$(UV) sync --no-dev --inexact --extra train
	@touch $@

# uv from the PATH, else a private one from the package index.
.PHONY: uv
uv:
	@command -v $(UV) >/dev/null || { \
	  echo "installing uv into .uv"; \
	  { python3 -m venv .uv && echo '*' >.uv/.gitignore && .uv/bin/python -m pip install -q uv; } || { \
	  rm -rf .uv; echo "no uv, and python3 -m venv fails: apt-get install python3-venv, or pip install uv" >&2; exit 1; }; }
