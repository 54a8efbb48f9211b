"""Has VQA training leave a parameter out of the loss in some batches."""


def apply(rank, parameter, batches):
    import torch

    from mmdl.tasks.vqa import VQATask

    plain, seen = VQATask.losses, iter(range(10**6))

    def losses(self, batch):
        if self._trainer is None or next(seen) not in batches:  # without a trainer: the estimate of costs
            return plain(self, batch)
        fixed = {parameter: dict(self.model.named_parameters())[parameter].detach()}
        logits = torch.func.functional_call(self.model, fixed, (batch,))
        return {"loss": self.loss(logits, batch["targets"])}

    VQATask.losses = losses
