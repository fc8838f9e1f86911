"""The tab Workbench: layout, listeners and what they show. The work is done in `vlm_app.workbench`."""
