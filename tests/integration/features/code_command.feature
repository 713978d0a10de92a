# The task plan's scenarios, word for word. Where today's tools ask for another step than the words say, a
# comment here says which, and the step in test_scenarios.py says how it is proved.
Feature: DSPy-driven code command workflow

  Background:
    Given a repository with a valid plan file at .lw_coder/tasks/sample-plan.md
    # That commit is in a repository that is not ours to copy: the sample repository has one of its own.
    And the plan references git_sha de528997b23028fdd0732ae6d17a8c11ad6c6348
    And .env defines OPENROUTER_API_KEY, OPENROUTER_BASE_URL, and OPENROUTER_MODEL
    And the DSPy cache directory is empty

  Scenario: Run directory is created with cached prompts
    When I execute `lw_coder code .lw_coder/tasks/sample-plan.md`
    Then a new directory appears under `.lw_coder/runs/sample-plan/<timestamp>/`
    And `prompts/main.md` and `droids/code-review-auditor.md` and `droids/plan-alignment-checker.md` exist inside that directory
    And rerunning the command reuses cached DSPy responses without additional API calls

  Scenario: Old run directories are pruned on new run
    Given `.lw_coder/runs/sample-plan/` contains runs older than 30 days
    When I execute `lw_coder code .lw_coder/tasks/sample-plan.md`
    Then run directories older than 30 days are deleted
    And the new run directory remains

  Scenario: Docker container sees only code assets
    When I execute `lw_coder code .lw_coder/tasks/sample-plan.md`
    Then inside the droid container `/tmp/lw_coder/main_prompt.md` exists and matches the generated prompt
    And `/home/droiduser/.factory/droids` contains only the run-specific code subagents
    And no plan subagent files are present in the container

  Scenario: Configurable env file path is honored
    Given `.lw_coder/config.toml` specifies `env_file = ".env.local"`
    And `.env.local` defines OPENROUTER_API_KEY
    When I execute `lw_coder code .lw_coder/tasks/sample-plan.md`
    Then the container receives OPENROUTER_API_KEY from `.env.local`
    And the command succeeds without referencing `.env`

  Scenario: Repository-specific Docker image reuse
    Given `.lw_coder/code.Dockerfile` and `.lw_coder/config.toml` have not changed since the last run
    When I execute `lw_coder code .lw_coder/tasks/sample-plan.md`
    # Through Compose, as the design card has it: `docker compose build repo`, with the run's own spec.
    Then the command runs `docker build` for `lw_coder_droid:<repo_hash>`
    And Docker reuses cached layers so the build completes quickly
    And the logs show the image build invocation before the interactive session starts

  Scenario: Repository Docker image rebuild rationale
    Given `.lw_coder/code.Dockerfile` was modified since the last run
    When I execute `lw_coder code .lw_coder/tasks/sample-plan.md`
    Then the command rebuilds the docker image `lw_coder_droid:<repo_hash>`
    And the logs note that the image build is running before launching droid

  Scenario: Base image built on demand
    Given `lw_coder_droid:latest` is not present locally
    When I execute `lw_coder code .lw_coder/tasks/sample-plan.md`
    Then the CLI builds `docker/droid/Dockerfile` into `lw_coder_droid:latest`
    And the subsequent repo-specific build succeeds using that base tag

  Scenario: Context7 MCP available inside droid container
    When the docker image is built
    Then the `droid mcp list` command inside the container includes `context7`
    # Today's droid has no `mcp describe`; `mcp list` gives the transport and the state of each server.
    And running `droid mcp describe context7` succeeds without additional setup

  Scenario: Pytest executable available in repo image
    When I build the repo-specific docker image
    And I run `uv run pytest --version` inside the container
    Then the command exits successfully and prints the pytest version

  Scenario: Worktree separation is preserved
    When I execute `lw_coder code .lw_coder/tasks/sample-plan.md`
    Then the command uses `ensure_worktree` to prepare the coding worktree
    And no temporary worktree created by `create_temp_worktree` is removed
    And the worktree path remains after the command exits

  Scenario: Missing OpenRouter configuration fails fast
    Given `.env` is missing `OPENROUTER_API_KEY`
    When I execute `lw_coder code .lw_coder/tasks/sample-plan.md`
    Then the command exits with a non-zero status
    And it logs guidance for configuring OpenRouter credentials

  Scenario: DSPy caching active during tests
    Given the DSPy cache directory is pre-populated for sample-plan
    When I run the unit test suite
    Then the tests execute without making external OpenRouter calls
    And they assert the cached responses were utilized
