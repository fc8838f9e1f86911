"""The tab Fine-tune: datasets to teach from, and runs. The work is done in `vlm_app.finetune`."""
