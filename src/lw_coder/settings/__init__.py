"""What a person configures: config.toml, the env file, the allowed hosts, the model."""
